"""What scores say of themselves, and that an evaluation goes by that: inputs, bounds, what they share."""

import functools
import inspect
import json
import math
import sys

import numpy as np
import pytest
from grid_of_pictures import QUICK, Grid, identity

from kerasvae import metrics
from kerasvae.metrics import SCORES, Score, ScoreInfo, aam, evaluate, mmig, posterior_information
from kerasvae.metrics.bootstrap import bootstrap_interval
from kerasvae.metrics.evaluate import compute, resolve
from kerasvae.metrics.material import Material
from kerasvae.metrics.score import NEEDS, scores_of_one_model


def posterior(images):
    return 50 * identity(images), np.full((len(images), 2), -3.0)


@pytest.fixture
def computed(monkeypatch):
    """The options of every computation of the posteriors' information by an evaluation."""
    found = []

    @functools.wraps(posterior_information)
    def counted(*args, **options):
        result = posterior_information(*args, **options)
        found.append(result["method"])
        return result

    # The package has a function of the module's name.
    module = sys.modules["kerasvae.metrics.posterior_information"]
    monkeypatch.setattr(module, "posterior_information", counted)
    return found


def test_the_information_of_posteriors_is_computed_once(computed):
    data = Grid()
    scores = evaluate(posterior, data, ["aam", "mmig"])
    assert computed == ["quadrature"]
    arrays = *posterior(data.standardize(data.images(np.arange(40)))), data.factors(np.arange(40))
    for name, function in (("aam", aam), ("mmig", mmig)):
        assert scores[name].to_json() == function(*arrays).to_json()
    assert (
        scores["aam"].to_json()["parts"]["mutual_information"]
        == posterior_information(*arrays)["mutual_information"].tolist()
    )


def test_other_options_are_another_computation(computed):
    scores = {
        "aam": {"method": "sampling"},
        "mmig": {"method": "sampling", "samples": 2},
        "more": functools.partial(mmig, method="sampling", samples=3),
        "again": functools.partial(aam, method="sampling"),
    }
    found = evaluate(posterior, Grid(), scores)
    assert computed == ["sampling"] * 2
    assert found["aam"].to_json() == found["again"].to_json() and found["more"].parts["method"] == "sampling"
    with pytest.raises(ValueError, match="method must be"):
        evaluate(posterior, Grid(), {"aam": {"method": "exact"}})
    with pytest.raises(ValueError, match="samples must be"):
        evaluate(posterior, Grid(), {"aam": {"samples": [2]}})


def test_resamples_of_posteriors_are_computed_once(computed):
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (60, 2))
    rows = factors + 0.3 * rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) - 2, factors
    found = {}
    for shared in (True, False):
        material = Material(posterior=rows)
        for task in resolve(["aam", "mmig"]):
            material = material if shared else Material(posterior=rows)
            found[shared, task.name] = compute(task, material, {}, seed=1, bootstrap=5)
        assert len(computed) == (6 if shared else 6 + 12)
    for name in ("aam", "mmig"):
        assert found[True, name].to_json() == found[False, name].to_json()
        assert found[True, name].interval[0] < float(found[True, name])


def test_intervals_stay_within_the_range_of_their_score(monkeypatch):
    free = {}

    def kept(value, replicates, bounds=(0.0, 1.0)):
        free.setdefault(bounds, []).append(bootstrap_interval(value, replicates, (-np.inf, np.inf)))
        return bootstrap_interval(value, replicates, bounds)

    # Through sys.modules: the package has a function of the module's name.
    monkeypatch.setattr(sys.modules["kerasvae.metrics.evaluate"], "bootstrap_interval", kept)
    for noise in (3.0, 1000.0):

        def encode(images, noise=noise):
            codes = posterior(images)[0]
            return codes + noise * np.sin(1e4 * codes[:, ::-1] + np.arange(2)), np.zeros((len(images), 2))

        scores = {name: QUICK.get(name, {}) for name in SCORES}
        found = evaluate(encode, Grid(), scores, train=30, test=20, preset="fast", bootstrap=6)
        for name, score in found.items():
            if score.interval is not None:
                (low, high), (least, most) = score.interval, SCORES[name].info.bounds
                assert least <= low <= float(score) <= high <= most, name
    assert set(free) == {(0.0, 1.0), (0.0, np.inf), (-1.0, 1.0)}
    assert any(low < 0 or high > 1 for low, high in free[0.0, 1.0])


def test_of_a_users_score_no_range_is_known():
    def loss(codes, factors):
        return codes.mean() - 100

    found = evaluate(identity, Grid(), [loss], train=50, bootstrap=5)["loss"]
    assert found.interval[0] < float(found) < -90


def test_every_score_of_the_package_describes_itself():
    for name, score in SCORES.items():
        assert getattr(metrics, name) is score and score.__name__ == name
        low, high = score.info.bounds
        assert low < high and score.info.higher_is_better is (score.info.needs != "codes")
        parameters = list(inspect.signature(score).parameters)
        assert tuple(parameters)[: len(NEEDS[score.info.needs])] == NEEDS[score.info.needs]
        assert bool(score.info.predicts) == (score.info.needs == "codes and factors" and "test" in parameters)
    assert metrics.udr.info.needs == "several models" and "udr" not in SCORES


@ScoreInfo(needs="codes", bounds=(0.0, 1.0), higher_is_better=False)
def dead_latents(codes):
    return np.mean(codes.std(axis=0) < 1e-3)


@ScoreInfo(needs="codes of chosen factors", bounds=(0.0, math.inf))
def steps_apart(encode_factors, factor_sizes, *, repeats=3, seed=1):
    factors = np.random.default_rng(seed).integers(factor_sizes, size=(repeats, len(factor_sizes)))
    factors[:, 0] = np.arange(repeats) % factor_sizes[0]
    return Score("steps_apart", np.abs(np.diff(encode_factors(factors), axis=0)).mean())


@ScoreInfo(predicts=True, bounds=(0.0, 1.0), higher_is_better=True, fast={"train": 21, "test": 11})
def seen_before(codes, factors, *, test=None):
    return np.mean([tuple(row) in set(map(tuple, factors)) for row in test[1]])


@ScoreInfo(needs="posteriors")
def widest(mean, logvar, factors):
    return logvar.max()


def test_a_score_of_ones_own_that_describes_itself():
    own = [dead_latents, steps_apart, seen_before, widest]
    found = evaluate(posterior, Grid(), ["mig", *own], preset="fast", bootstrap=4)
    assert list(found) == ["mig", "dead_latents", "steps_apart", "seen_before", "widest"]
    assert float(found["widest"]) == -3 and float(found["dead_latents"]) == 0
    assert found.settings["sizes"] == {
        "mig": {"train": 2000},
        "dead_latents": {"train": 2000},
        "steps_apart": {"repeats": 128},
        "seen_before": {"train": 21, "test": 11},
        "widest": {"points": 40},
    }
    low, high = found["seen_before"].interval
    assert 0 <= low < float(found["seen_before"]) < high <= 1
    assert found["steps_apart"].interval is None  # it chooses its own factor values, and did not ask for `bootstrap`
    stored = json.loads(json.dumps(found.to_json()))
    assert stored["scores"]["dead_latents"] == {"name": "dead_latents", "value": 0.0, "parts": {}, "interval": [0, 0]}
    named = evaluate(posterior, Grid(), {"again": functools.partial(steps_apart, repeats=128)}, preset="fast")
    assert float(named["again"]) == float(found["steps_apart"])
    # What it needs is what it is refused for.
    for score, match in ((widest, "encode returns no log-variances"), (metrics.udr, "compares several models")):
        with pytest.raises(ValueError, match=f"cannot be computed: .*{match}"):
            evaluate(identity, Grid(), [score])
    with pytest.raises(TypeError, match=r"scores\['two'\] must take \(codes\) and the options \[\]"):
        evaluate(identity, Grid(), {"two": ScoreInfo(needs="codes")(lambda codes, factors: 0.0)})


def test_a_score_of_the_package_is_one_that_it_exports():
    exports = {**vars(metrics), "dead_latents": dead_latents}
    assert scores_of_one_model(exports) == {**SCORES, "dead_latents": dead_latents}
    assert list(scores_of_one_model(exports))[-4:] == [
        "dead_latents",
        "gaussian_total_correlation",
        "gaussian_wasserstein",
        "mutual_information_score",
    ]


def test_needs_that_there_are_not():
    with pytest.raises(ValueError, match=r'needs must be "codes and factors", .* or "several models", got .images.'):
        ScoreInfo(needs="images")
