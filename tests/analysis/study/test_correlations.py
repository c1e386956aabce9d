"""Correlations of scores with each other and with losses: closed forms, invariances, coverage, omissions."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from kerasvae.analysis.study import load, loss_correlations, metric_correlations, resamples
from kerasvae.analysis.study.weighted import spearman_matrix

RNG = np.random.default_rng(1)
FAST = {"replicates": 100}


def runs(
    datasets=("dsprites", "noisy_dsprites"), methods=("beta_vae", "factor_vae"), strengths=3, seeds=5, scores=None
):
    lines = []
    for dataset in datasets:
        for method in methods:
            for strength in range(strengths):
                for seed in range(seeds):
                    line = {"dataset": dataset, "method": method, "strength": 2.0**strength, "seed": seed}
                    quality = RNG.normal() + strength
                    line |= {name: made(quality) for name, made in (scores or SCORES).items()}
                    lines.append(line)
    return lines


SCORES = {
    "beta_vae_score": lambda quality: min(quality, 1.5),
    "mig": lambda quality: quality + RNG.normal(),
    "dci.disentanglement": lambda quality: np.tanh(quality),
    "modularity": lambda quality: -quality,
    "sap": lambda quality: 0.25,
    "loss.reconstruction": lambda quality: 20 + RNG.normal(),
    "loss.kl": lambda quality: 30 - quality,
    "loss.total": lambda quality: -quality,
    "unsup.gaussian_tc@sampled": lambda quality: quality**3,
}


def estimates(analysis, name="correlations"):
    return analysis[name].to_csv()


def test_monotone_reversed_and_constant_metrics():
    scores = {"mig": np.exp, "aam": np.arctan, "modularity": np.negative, "sap": lambda quality: 0.5}
    table = load(runs(scores=scores, methods=("beta_vae",)))
    analysis = metric_correlations(table, **FAST)
    for dataset in table.datasets:
        frame = analysis["correlations"].select(dataset=dataset)
        for a, b, expected in (("mig", "aam", 1), ("mig", "modularity", -1), ("mig", "mig", 1)):
            row = frame.row(metric_a=a, metric_b=b)
            assert row["estimate"] == pytest.approx(expected, abs=1e-12)
            assert row["lo"] == pytest.approx(expected, abs=1e-6) == pytest.approx(row["hi"], abs=1e-6)
            assert row["n"] == 15
        for b in ("mig", "sap"):
            row = frame.row(metric_a="sap", metric_b=b)
            assert np.isnan(row["estimate"]) and np.isnan(row["lo"]) and np.isnan(row["hi"])
    assert any("constant: sap" in notice for notice in analysis.notices)
    assert "nan" not in str(analysis) and "–" in str(analysis["correlations"])
    mean = analysis["over_datasets"].row(metric_a="mig", metric_b="modularity")
    assert mean["estimate"] == mean["lowest"] == mean["highest"] == -1 and mean["n"] == 2


def test_correlations_are_scipys_and_symmetric():
    table = load(runs())
    frame = metric_correlations(table, ["mig", "beta_vae_score"], **FAST)["correlations"].select(dataset="dsprites")
    part = table.select(dataset="dsprites")
    expected = spearmanr(part.column("mig"), part.column("beta_vae_score")).statistic
    labels, _, array = frame.matrix("metric_a", "metric_b")
    assert labels == ["mig", "beta_vae_score"] and array[0, 1] == pytest.approx(expected)
    np.testing.assert_array_equal(array, array.T)


def test_agreement_that_is_of_the_settings_alone_is_gone_within_them():
    scores = {"mig": lambda quality: 0, "sap": lambda quality: 0}
    lines = runs(datasets=("d",), strengths=6, seeds=20, scores=scores)
    for line in lines:
        line["mig"], line["sap"] = line["strength"] + RNG.normal(), line["strength"] + RNG.normal()
    analysis = metric_correlations(load(lines), replicates=400)
    pooled = analysis["correlations"].row(metric_a="mig", metric_b="sap")
    within = analysis["within_settings"].row(metric_a="mig", metric_b="sap")
    assert pooled["lo"] > 0.8 and within["lo"] < 0 < within["hi"]


def test_row_and_column_order_and_form_change_nothing():
    lines = runs()
    table = load(lines)
    expected = [estimates(metric_correlations(table, **FAST), name) for name in ("correlations", "within_settings")]
    losses = estimates(loss_correlations(table, **FAST))
    shuffled = [dict(sorted(line.items(), key=lambda item: RNG.random())) for line in lines]
    RNG.shuffle(shuffled)
    for other in (load(shuffled), load(table.to_long()), load(table.to_long().where(RNG.permutation(len(lines) * 9)))):
        analysis = metric_correlations(other, **FAST)
        assert [estimates(analysis, name) for name in ("correlations", "within_settings")] == expected
        assert estimates(loss_correlations(other, **FAST)) == losses


def test_relabelled_seeds_have_the_same_estimates():
    lines = runs()
    other = [line | {"seed": 7 - 3 * line["seed"]} for line in lines]
    for analysis in (metric_correlations, loss_correlations):
        first, second = analysis(load(lines), **FAST), analysis(load(other), **FAST)
        for name in ("correlations", "over_datasets"):
            np.testing.assert_allclose(first[name]["estimate"], second[name]["estimate"], atol=1e-12)


def test_missing_lines_are_no_error():
    lines = load(runs()).to_long()
    kept = lines.where(np.flatnonzero(RNG.random(len(lines)) > 0.1))
    table = load(kept)
    analysis = metric_correlations(table, **FAST)
    counts = analysis["correlations"].select(dataset="dsprites")["n"]
    assert counts.min() < counts.max() <= 30
    assert np.isfinite(loss_correlations(table, **FAST)["correlations"].select(metric="mig")["estimate"]).all()


def test_intervals_of_pure_noise_cover_zero():
    covered, total = 0, 0
    columns = {
        "dataset": ["d"] * 120,
        "method": ["m"] * 120,
        "strength": np.repeat(np.arange(6), 20),
        "seed": [*range(20)] * 6,
    }
    table = load(columns | {"mig": RNG.random(120), "sap": RNG.random(120)})
    draws = resamples(table, 300)
    for _ in range(200):
        values = RNG.normal(size=(120, 2))
        _, lo, hi = draws.estimate(lambda weights, values=values: spearman_matrix(values, weights))
        covered += lo[0, 1] <= 0 <= hi[0, 1]
        total += 1
    # 20 seeds: percentile intervals cover a little less than they say.
    assert 0.88 <= covered / total <= 0.99


def test_claims_on_scores():
    scores = {name: lambda quality: quality + 0.1 * RNG.normal() for name in ("beta_vae_score", "mig", "sap")}
    scores |= {"factor_vae_score": lambda quality: quality, "modularity": lambda quality: RNG.normal()}
    scores["beta_vae_score"] = np.exp
    analysis = metric_correlations(load(runs(scores=scores)), **FAST)
    claims = analysis["claims"].select(dataset="dsprites").rows()
    assert claims[0]["met"] is True and claims[0]["estimate"] == 1 and claims[0]["n"] == 6
    assert claims[1]["met"] is True and "FactorVAE score" in claims[1]["claim"]
    assert "6 of 6 pairs" in analysis.sentences[0] and "100 [100, 100]" in analysis.sentences[0]
    few = metric_correlations(load(runs(scores=scores, seeds=2)), **FAST)
    assert few["claims"].rows()[0]["met"] is None and np.isnan(few["correlations"]["lo"]).all()


def test_published_correlations_stand_beside_where_they_match():
    frame = metric_correlations(load(runs()), beside="locatello2019-slides", **FAST)["correlations"]
    row = frame.row(dataset="noisy_dsprites", metric_a="mig", metric_b="dci.disentanglement")
    assert row["published"] == 0.76 and row["difference"] == pytest.approx(row["estimate"] - 0.76)
    assert np.isnan(frame.select(dataset="dsprites")["published"]).all()
    with pytest.raises(ValueError, match="study must be one of"):
        metric_correlations(load(runs()), beside="mine")


def test_saturated_and_collapsed_runs_are_said():
    lines = runs(datasets=("d",))
    for line in lines:
        line |= {"kl.z0": 2.0, "kl.z1": 0.01}
    lines[0] |= {"kl.z0": 0.05}
    analysis = metric_correlations(load(lines), **FAST)
    share = np.mean([line["beta_vae_score"] == 1.5 for line in lines])
    assert analysis["saturated"].row(metric="beta_vae_score")["estimate"] == pytest.approx(share)
    assert any("1 of 30 runs have collapsed" in notice for notice in analysis.notices)
    row = analysis["without_collapsed"].row(metric_a="mig", metric_b="dci.disentanglement")
    assert row["n"] == 29
    expected = metric_correlations(load(lines[1:]), **FAST)["correlations"].row(
        metric_a="mig", metric_b="dci.disentanglement"
    )
    assert row["estimate"] == pytest.approx(expected["estimate"])


def test_studies_are_never_pooled():
    first, second = runs(datasets=("d",)), runs(datasets=("d",))
    both = metric_correlations(load({"a": load(first), "b": load(second)}), **FAST)["correlations"]
    alone = metric_correlations(load(second, study="b"), **FAST)["correlations"]
    assert both.select(study="b").to_csv() == alone.to_csv() and set(both["study"]) == {"a", "b"}


def test_losses_against_scores():
    analysis = loss_correlations(load(runs()), **FAST)
    frame = analysis["correlations"].select(dataset="dsprites", metric="dci.disentanglement")
    assert frame.row(loss="loss.kl")["estimate"] == pytest.approx(-1)
    assert frame.row(loss="unsup.gaussian_tc@sampled")["estimate"] == pytest.approx(1)
    assert frame.row(loss="loss.total")["estimate"] == pytest.approx(-1)
    assert frame.row(loss="loss.total")["of"] == "within methods" and frame.row(loss="loss.kl")["of"] == "all runs"
    assert frame.row(loss="loss.total")["better"] == "lower"
    assert "The negative ELBO is loss.reconstruction + loss.kl." in analysis.notices
    # The constant score and the sign of modularity.
    claims = analysis["claims"].row(loss="loss.kl")
    assert claims["same_sign"] is False and claims["predicts"] is False
    alone = loss_correlations(load(runs()), ["mig", "beta_vae_score"], ["loss.kl"], **FAST)
    assert alone["claims"].row(loss="loss.kl")["predicts"] is True and "KL" in alone.sentences[0]


def test_training_loss_is_not_pooled_over_methods():
    lines = runs(datasets=("d",), scores={"mig": lambda quality: quality, "loss.total": lambda quality: quality})
    for line in lines:
        # Another scale and a better score: pooled, the sign would turn.
        if line["method"] == "factor_vae":
            line["loss.total"], line["mig"] = line["loss.total"] - 1000, line["mig"] + 1000
    table = load(lines)
    row = loss_correlations(table, **FAST)["correlations"].row(loss="loss.total", metric="mig")
    assert row["estimate"] == pytest.approx(1) and row["lo"] == pytest.approx(1)
    assert spearmanr(table.column("mig"), table.column("loss.total")).statistic < 0


def test_fisher_average_over_methods():
    scores = {"mig": lambda quality: quality, "loss.total": lambda quality: quality + 3 * RNG.normal()}
    lines = runs(datasets=("d",), scores=scores)[:-4]
    table = load(lines)
    found = []
    for method in table.methods:
        part = table.select(method=method)
        found.append((len(part) - 3, np.arctanh(spearmanr(part.column("mig"), part.column("loss.total")).statistic)))
    expected = np.tanh(np.average([z for _, z in found], weights=[weight for weight, _ in found]))
    row = loss_correlations(table, **FAST)["correlations"].row(loss="loss.total", metric="mig")
    assert row["estimate"] == pytest.approx(expected)


def test_regret_is_the_percentile_of_the_run_with_the_best_loss():
    scores = {"mig": lambda quality: quality, "loss.elbo": lambda quality: -quality, "udr": lambda quality: -quality}
    table = load(runs(datasets=("d",), scores=scores))
    frame = loss_correlations(table, **FAST)["regret"]
    # Half of the run itself counts as below it.
    assert frame.row(loss="loss.elbo")["estimate"] == pytest.approx(1 - 0.5 / len(table))
    assert frame.row(loss="udr")["estimate"] == pytest.approx(0.5 / len(table))
    lines = table.to_wide().rows()
    for line in lines:
        line["loss.elbo"] = 1.0
    tied = loss_correlations(load(lines), losses=["loss.elbo"], **FAST)["regret"]
    assert tied.row(loss="loss.elbo")["estimate"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.where(np.zeros(len(table), bool)), "no runs that are ok"),
        (lambda table: table.select(metrics=["mig"]), "at least 2 are needed"),
    ],
)
def test_what_is_not_possible_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        metric_correlations(change(load(runs())), **FAST)


def test_arguments_are_checked():
    table = load(runs())
    with pytest.raises(KeyError, match="no metric 'fid'"):
        metric_correlations(table, ["mig", "fid"])
    with pytest.raises(ValueError, match="different"):
        metric_correlations(table, ["mig", "mig"])
    with pytest.raises(TypeError, match="load"):
        metric_correlations([{"mig": 1}])
    with pytest.raises(ValueError, match="need no labels"):
        loss_correlations(table.select(metrics=["mig", "sap"]))


def test_one_run_one_seed_one_data_set():
    one = metric_correlations(load(runs(datasets=("d",))[:1]), **FAST)
    assert np.isnan(one["correlations"]["estimate"]).all() and not len(one["over_datasets"])
    seed = metric_correlations(load(runs(seeds=1)), **FAST)
    assert np.isfinite(seed["correlations"].select(metric_a="mig", metric_b="modularity")["estimate"]).all()
    assert np.isnan(seed["correlations"]["lo"]).all() and np.isnan(seed["within_settings"]["estimate"]).all()
    assert any("fewer than 3 seeds" in notice for notice in seed.notices)
    loss_correlations(load(runs(datasets=("d",))[:1]), **FAST)
