"""Choosing runs without labels: values by hand, brute force, and UDR of runs whose codes are known."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from kerasvae.analysis.study.bootstrap import resamples
from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.losses import loss_correlations
from kerasvae.analysis.study.udr import add_udr
from kerasvae.analysis.study.unsupervised_selection import RULES, unsupervised_selection
from kerasvae.metrics.udr import udr

RNG = np.random.default_rng(1)
FAST = {"replicates": 60}


def runs(datasets=("d", "e"), methods=("beta_vae", "factor_vae"), strengths=3, seeds=5, **columns):
    lines = []
    for number, (dataset, method, strength, seed) in enumerate(
        itertools.product(datasets, methods, range(strengths), range(seeds))
    ):
        line = {"dataset": dataset, "method": method, "strength": strength, "seed": seed, "run_id": f"run{number}"}
        quality = RNG.random()
        line |= {"mig": quality, "sap": -quality, "udr": quality**2, "loss.reconstruction": RNG.random()}
        lines.append(line | {name: made(line) for name, made in columns.items()})
    return lines


def brute_force(table, criterion, metric, ties):
    """The three rules by enumeration, on a table of one data set; higher is better in both."""
    choice, score = table.column(criterion), table.column(metric)

    def chance(run):
        return np.mean((score[run] > score) + ties * (score[run] == score))

    def best(members):
        return [run for run in members if choice[run] == max(choice[members])]

    everything = np.arange(len(table))
    one_run = np.mean([chance(run) for run in best(everything)])
    one_seed = np.mean([np.mean([chance(r) for r in best(np.flatnonzero(table.seed == seed))]) for seed in table.seeds])
    medians = [np.median(choice[table.setting_code == place]) for place in range(len(table.settings))]
    settings = [place for place, median in enumerate(medians) if median == max(medians)]
    setting = np.mean([np.mean([chance(r) for r in everything[table.setting_code == place]]) for place in settings])
    return dict(zip(RULES, (one_run, one_seed, setting), strict=True))


@pytest.mark.parametrize("digits", [8, 1])
def test_rules_are_those_of_an_enumeration(digits):
    table = load(runs(datasets=("d",), udr=lambda line: round(RNG.random(), digits)))
    table = table.with_metrics({"mig": np.round(RNG.random(len(table)), digits)})
    frame = unsupervised_selection(table, ["mig"], **FAST)["odds"]
    for ties, value in (("wins", 1.0), ("half", 0.5)):
        for rule, expected in brute_force(table, "udr", "mig", value).items():
            row = frame.row(rule=rule, ties=ties)
            assert row["estimate"] == pytest.approx(expected) and row["n"] == 30
            assert row["with_labels"] == pytest.approx(brute_force(table, "mig", "mig", value)[rule])
            assert row["lo"] <= row["hi"]


def slow_replicates(table, draws, criterion, metric, tie):
    """The three rules in every replicate of a table of one data set, run by run in float64; what is missing is out."""
    cost, score = table.role(criterion).sign * table.column(criterion), table.column(metric)
    there = np.flatnonzero(np.isfinite(cost) & np.isfinite(score))
    cost, score, weights = cost[there], score[there], draws.weights(there).astype(np.float64)
    seeds, settings = table.seed[there], table.setting_code[there]
    wins = (score[:, None] > score) + tie * (score[:, None] == score)
    shares = np.zeros(len(there))
    for seed in np.unique(seeds):
        tied = (seeds == seed) & (cost == cost[seeds == seed].max())
        shares[tied] = 1 / tied.sum()
    medians = {place: np.median(cost[settings == place]) for place in np.unique(settings)}
    best = [place for place, median in medians.items() if median == max(medians.values())]
    found = []
    for drawn in weights.T:
        chances = wins @ drawn / drawn.sum()
        of_run = drawn * (cost == cost[drawn > 0].max())
        of_seed = drawn * shares
        of_settings = [drawn * (settings == place) for place in best]
        each = [np.average(chances, weights=weight) for weight in of_settings if weight.sum()]
        one_seed = np.average(chances, weights=of_seed) if of_seed.sum() else np.nan
        found.append([np.average(chances, weights=of_run), one_seed, np.mean(each) if each else np.nan])
    return np.transpose(found)


@pytest.mark.parametrize("kind", ["complete", "ties", "missing", "incomplete", "ties and missing"])
def test_intervals_are_those_of_a_slow_bootstrap(kind):
    rng = np.random.default_rng(5)
    lines = runs(datasets=("d",), **{"loss.elbo": lambda line: rng.random()})
    for line in lines:
        for name in ("mig", "sap", "udr", "loss.elbo", "loss.reconstruction"):
            line[name] = round(line[name], 1) if "ties" in kind else line[name]
            line[name] = None if "missing" in kind and rng.random() < 0.15 else line[name]
    table = load([line for line in lines if kind != "incomplete" or rng.random() > 0.1])
    draws, criteria = resamples(table, 80), ["udr", "loss.elbo", "loss.reconstruction"]
    assert table.complete == (kind != "incomplete")
    frame = unsupervised_selection(table, ["mig", "sap"], criteria, replicates=80)["odds"]
    for criterion, metric, (ties, tie) in itertools.product(criteria, ("mig", "sap"), (("wins", 1), ("half", 0.5))):
        replicates = slow_replicates(table, draws, criterion, metric, tie)
        for rule, (lo, hi) in zip(RULES, np.nanquantile(replicates, [0.025, 0.975], axis=1).T, strict=True):
            row = frame.row(by=criterion, metric=metric, ties=ties, rule=rule)
            assert (row["lo"], row["hi"]) == pytest.approx((lo, hi), abs=1e-6)


def test_values_by_hand():
    frame = unsupervised_selection(load(runs()), **FAST)["odds"].select(dataset="d", rule="best run")
    # UDR is a monotone function of MIG: the best of 30 runs ties with itself alone.
    assert frame.row(metric="mig", ties="wins")["estimate"] == pytest.approx(1)
    assert frame.row(metric="mig", ties="half")["estimate"] == pytest.approx(1 - 0.5 / 30)
    assert frame.row(metric="sap", ties="half")["estimate"] == pytest.approx(0.5 / 30)
    assert frame.row(metric="mig", ties="wins")["baseline"] == pytest.approx(0.5 + 0.5 / 30)
    assert frame.row(metric="mig", ties="half")["baseline"] == 0.5


def test_a_constant_criterion_chooses_at_random_and_a_constant_score_has_no_odds():
    table = load(runs(udr=lambda line: 0.5, modularity=lambda line: 1.0))
    analysis = unsupervised_selection(table, **FAST)
    frame = analysis["odds"].select(dataset="d", ties="half")
    for rule in RULES:
        assert frame.row(metric="mig", rule=rule)["estimate"] == pytest.approx(0.5)
        row = frame.row(metric="modularity", rule=rule)
        assert all(np.isnan(row[name]) for name in ("estimate", "lo", "hi", "baseline"))
    assert "nan" not in str(analysis) and "–" in str(analysis["odds"])
    overall = analysis["overall"].row(rule="best run", ties="half")
    assert overall["estimate"] == pytest.approx(0.5) and overall["n"] == 4
    only = unsupervised_selection(table, ["modularity"], **FAST)
    assert "no score tells runs apart" in only.sentences[0]


def test_noise_gives_half_on_average():
    found, plain = [], load(runs(datasets=("d",), strengths=2, seeds=3))
    for _ in range(60):
        table = plain.with_metrics({"udr": RNG.random(len(plain)), "mig": RNG.random(len(plain))})
        frame = unsupervised_selection(table, ["mig"], replicates=2)["odds"].select(ties="half")
        found.append([frame.row(rule=rule)["estimate"] for rule in RULES])
    np.testing.assert_allclose(np.mean(found, axis=0), 0.5, atol=0.1)


def test_best_run_is_the_regret_of_the_losses():
    table = load(runs())
    odds = unsupervised_selection(table, by=["udr", "loss.reconstruction"], **FAST)["odds"]
    regret = loss_correlations(table, **FAST)["regret"]
    for row in odds.select(rule="best run", ties="half").rows():
        other = regret.row(dataset=row["dataset"], loss=row["by"], metric=row["metric"])
        assert [row[name] for name in ("estimate", "lo", "hi")] == pytest.approx(
            [other[name] for name in ("estimate", "lo", "hi")], abs=1e-6
        )


def test_a_training_loss_chooses_within_methods():
    lines = runs(datasets=("d",), **{"loss.total": lambda line: -line["mig"] - 100 * (line["method"] == "beta_vae")})
    frame = unsupervised_selection(load(lines), ["mig"], "loss.total", **FAST)["odds"]
    row = frame.row(rule="best run", ties="half")
    assert row["of"] == "within methods" and row["estimate"] == pytest.approx(1 - 0.5 / 15)


def test_all_unsupervised_metrics_and_means():
    table = load(runs(**{"loss.kl": lambda line: 20 + line["mig"]}))
    analysis = unsupervised_selection(table, ["mig"], None, **FAST)
    # KL has no better direction; the negative ELBO is made of it.
    assert set(analysis["odds"]["by"]) == {"udr", "loss.reconstruction", "loss.elbo"}
    each = analysis["odds"].select(by="loss.elbo", rule="best of one seed", ties="half")["estimate"]
    mean = analysis["over_datasets"].row(by="loss.elbo", rule="best of one seed", ties="half")
    assert mean["estimate"] == pytest.approx(each.mean()) and mean["n"] == 2
    assert analysis["overall"].row(by="loss.elbo", rule="best of one seed", ties="half")["estimate"] == mean["estimate"]
    assert len(analysis.sentences) == 3 and "no labels used" in analysis.sentences[0]
    labels = unsupervised_selection(table, ["sap"], "mig", **FAST)
    assert "(labels used)" in labels.sentences[0] and any("needs labels" in notice for notice in labels.notices)


def test_order_form_labels_of_seeds_and_missing_lines():
    lines = runs(udr=lambda line: RNG.random())
    table = load(lines)
    analysis = unsupervised_selection(table, **FAST)
    frames = {name: frame.to_csv() for name, frame in analysis.items()}
    RNG.shuffle(lines)
    for other in (load(lines), load(table.to_long())):
        assert {name: frame.to_csv() for name, frame in unsupervised_selection(other, **FAST).items()} == frames
    relabelled = unsupervised_selection(load([line | {"seed": 9 - 2 * line["seed"]} for line in lines]), **FAST)
    np.testing.assert_allclose(relabelled["odds"]["estimate"], analysis["odds"]["estimate"], atol=1e-12)
    long = table.to_long()
    missing = unsupervised_selection(load(long.where(np.flatnonzero(RNG.random(len(long)) > 0.1))), **FAST)
    assert np.isfinite(missing["odds"]["estimate"]).all() and missing["odds"]["n"].max() <= 30
    assert any("have no udr" in notice for notice in missing.notices)
    one_seed = unsupervised_selection(load(runs(seeds=1)), **FAST)
    assert np.isfinite(one_seed["odds"]["estimate"]).all() and np.isnan(one_seed["odds"]["lo"]).all()


def test_what_is_not_possible_says_why():
    table = load(runs(**{"loss.kl": lambda line: 20.0}))
    with pytest.raises(ValueError, match=r"the table has no udr; kerasvae\.analysis\.study\.add_udr computes it"):
        unsupervised_selection(table.select(metrics=["mig"]))
    with pytest.raises(ValueError, match=r"one direction is better, got 'loss\.kl'"):
        unsupervised_selection(table, by="loss.kl")
    with pytest.raises(KeyError, match="no metric 'fid'"):
        unsupervised_selection(table, by="fid")
    with pytest.raises(ValueError, match="scores: at least 1"):
        unsupervised_selection(table.select(metrics=["udr"]))


def codes_of(lines):
    """Codes of the same factors: those of strength 0 as they are up to order and sign, of others mixed differently."""
    factors, found = np.random.default_rng(3).normal(size=(300, 3)), {}
    for line in lines:
        draws = np.random.default_rng(line["seed"] + 10)
        order, signs = draws.permutation(3), draws.choice([-1, 1], 3)
        mixing = np.linalg.qr(draws.normal(size=(3, 3)))[0] if line["strength"] else np.eye(3)
        found[line["run_id"]] = np.hstack(
            [factors @ mixing[:, order] * signs, 1e-3 * factors @ draws.normal(size=(3, 1))]
        )
    return found


def test_udr_of_runs_is_that_of_their_setting():
    lines = runs(datasets=("d",), methods=("beta_vae",), strengths=2, seeds=4)
    codes = codes_of(lines)
    kl = dict.fromkeys(codes, np.array([1.0, 1.0, 1.0, 0.005]))
    table = add_udr(load(lines).select(metrics=["mig"]), codes, kl)
    for setting in range(2):
        ids = table.run_id[table.setting_code == setting].tolist()
        expected = [float(score) for score in udr([codes[i] for i in ids], [kl[i] for i in ids])]
        assert table.column("udr")[table.setting_code == setting].tolist() == expected
    assert table.column("udr")[:4].min() > 0.8 > table.column("udr")[4:].max()
    assert table.role("udr").role == "unsupervised" and not table.notices
    assert set(unsupervised_selection(table, **FAST)["odds"]["by"]) == {"udr"}
    spearman = add_udr(table, codes, kl, method="spearman", weighting="latents").column("udr")
    expected = udr([codes[i] for i in ids], [kl[i] for i in ids], method="spearman", weighting="latents")
    assert spearman[4:].tolist() == [float(score) for score in expected]


def test_udr_takes_the_latents_kl_from_the_table():
    lines = runs(datasets=("d",), methods=("beta_vae",), strengths=2, seeds=3)
    codes = codes_of(lines)
    given = add_udr(load(lines), codes, dict.fromkeys(codes, np.array([1.0, 1.0, 1.0, 0.005])))
    own = [{**line, "kl.z0": 1.0, "kl.z1": 1.0, "kl.z2": 1.0, "kl.z3": 0.005} for line in lines]
    found = add_udr(load(own), codes)
    np.testing.assert_array_equal(found.column("udr"), given.column("udr"))
    without = add_udr(load(lines), codes)
    assert without.column("udr")[0] < given.column("udr")[0]
    assert any("collapsed latents take part" in notice for notice in without.notices)


class Reading(Mapping):
    """Codes that are read when they are asked for."""

    def __init__(self, codes):
        self.codes, self.read = codes, []

    def __getitem__(self, key):
        self.read.append(key)
        return self.codes[key]

    def __contains__(self, key):
        return key in self.codes

    def __iter__(self):
        return iter(self.codes)

    def __len__(self):
        return len(self.codes)


def test_udr_among_all_runs_and_with_fewer_partners():
    lines = runs(datasets=("d",), methods=("beta_vae",), strengths=2, seeds=4)
    codes = codes_of(lines)
    table = add_udr(load(lines), codes, among="all")
    expected = udr([codes[run_id] for run_id in table.run_id.tolist()])
    assert table.column("udr@all").tolist() == [float(score) for score in expected]
    assert table.label("udr@all") == "UDR (all)" and table.role("udr@all").role == "unsupervised"
    reading = Reading(codes)
    few = add_udr(load(lines), reading, among="all", partners=3)
    assert sorted(reading.read) == sorted(codes) and np.isfinite(few.column("udr@all")).all()
    assert few.equals(add_udr(load(lines), codes, among="all", partners=3))


def test_udr_of_runs_without_codes_or_partners():
    lines = runs(datasets=("d",), methods=("beta_vae",), strengths=2, seeds=3)
    lines[0]["status"] = "failed"
    codes = codes_of(lines)
    del codes[lines[5]["run_id"]]
    with pytest.raises(ValueError, match="run_id of runs that are ok"):
        add_udr(load(lines), {})
    table = add_udr(load(lines + [{**lines[1], "seed": 7, "run_id": "x"}]), codes | {"x": codes["run1"]})
    there = dict(zip(table.run_id.tolist(), np.isfinite(table.column("udr")).tolist(), strict=True))
    assert there == {"run0": False, "run1": True, "run2": True, "x": True, "run3": False, "run4": False, "run5": False}
    assert "1 runs have no codes, so no UDR." in table.notices
    assert any(notice.startswith("2 runs have fewer than 2 others") for notice in table.notices)


def test_udr_refuses_what_does_not_fit():
    lines = runs(datasets=("d",), methods=("beta_vae",), strengths=1, seeds=3)
    table, codes = load(lines), codes_of(lines)
    with pytest.raises(TypeError, match="codes must be a mapping"):
        add_udr(table, list(codes.values()))
    with pytest.raises(ValueError, match="among must be 'setting' or 'all'"):
        add_udr(table, codes, among="seeds")
    with pytest.raises(ValueError, match="kl must have every run that codes has, 3 are missing"):
        add_udr(table, codes, {})
    with pytest.raises(ValueError, match=r"UDR of d, beta_vae .*run0.*codes must be of the same images"):
        add_udr(table, codes | {"run1": codes["run1"][:5]})
    with pytest.raises(ValueError, match="weighting must be"):
        add_udr(table, codes, weighting="rows")
    with pytest.raises(ValueError, match="partners must be an integer, at least 2"):
        add_udr(table, codes, partners=1)
    two = load({"a": load(lines), "b": load(lines)})
    with pytest.raises(ValueError, match="select one study first"):
        add_udr(two, codes)
