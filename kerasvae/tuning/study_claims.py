"""What the two published studies claim, each in a form that a small study can decide: met or not, with its interval."""

from __future__ import annotations

import itertools

import numpy as np

from kerasvae.analysis import study
from kerasvae.analysis.study.bootstrap import resamples
from kerasvae.analysis.study.efficiency import accuracy_of
from kerasvae.analysis.study.weighted import weighted_median
from kerasvae.checks import shown

SCORES = ("beta_vae_score", "factor_vae_score", "mig", "dci.disentanglement", "modularity", "sap")
LOSSES = ("loss.reconstruction", "loss.kl", "loss.elbo", "unsup.gaussian_tc@sampled")
COLUMNS = ["claim", "dataset", "what", "estimate", "lo", "hi", "limit", "met"]


def poster_claims(table, *, replicates: int = 2000, seed: int = 1) -> study.Frame:
    """The poster's claims on a table of its runs, as orderings of medians over seeds.

    Args:
        table: `kerasvae.analysis.study.ResultsTable` of rows of `kerasvae.tuning.studies.poster`.
        replicates, seed: of the bootstrap over seeds.

    Returns:
        Frame: claim, dataset, what (is compared), estimate (difference of medians, or median), lo, hi, limit, met
        (whether the estimate is on the claimed side; None where runs are missing).

    Raises:
        ValueError: no runs that are ok.
    """
    table = _ok(table)
    draws, rows = resamples(table, replicates, seed), []
    dataset = ", ".join(table.datasets)
    known = [(setting.method, setting.strength) for setting in table.settings]
    names = {
        "VAE": ("vae", 1.0),
        "β-VAE 4": ("beta_vae", 4.0),
        "β-VAE 50": ("beta_vae", 50.0),
        "capacity": next((each for each in known if each[0] == "annealed_vae"), None),
        "FactorVAE": next((each for each in known if each[0] == "factor_vae"), None),
    }

    def median(name, metric):
        """A statistic, and the runs it is of; None where there are none."""
        if names[name] not in known or metric not in table.metrics:
            return None
        method, strength = names[name]
        runs = np.flatnonzero((table.method == method) & np.array([each == strength for each in table.strength]))
        column = table.column(metric)
        return lambda weights: weighted_median(column[runs], weights[runs])

    def differs(claim, less, more, metric):
        first, second = median(less, metric), median(more, metric)
        what = f"{table.label(metric) if metric in table.metrics else metric}: {more} − {less}"
        if first is None or second is None:
            return add(claim, what, np.nan, np.nan, np.nan, "> 0", None)
        estimate, lo, hi = map(float, draws.estimate(lambda weights: second(weights) - first(weights)))
        add(claim, what, estimate, lo, hi, "> 0", bool(estimate > 0))

    def within(claim, name, metric, least, most, what=None):
        of, limit = median(name, metric), f"{least:g} to {most:g}" if most < np.inf else f">= {least:g}"
        what = f"{what or (table.label(metric) if metric in table.metrics else metric)}: {name}"
        if of is None:
            return add(claim, what, np.nan, np.nan, np.nan, limit, None)
        estimate, lo, hi = map(float, draws.estimate(of))
        add(claim, what, estimate, lo, hi, limit, bool(least <= estimate <= most))

    def add(claim, what, estimate, lo, hi, limit, met):
        rows.append(dict(zip(COLUMNS, (claim, dataset, what, estimate, lo, hi, limit, met), strict=True)))

    order = ["VAE", "β-VAE 4", "FactorVAE", "capacity", "β-VAE 50"]
    for less, more in itertools.pairwise(order):
        differs("1 reconstruction error grows in this order", less, more, "loss.reconstruction")
    differs("2 KL falls with β", "β-VAE 50", "β-VAE 4", "loss.kl")
    differs("2 KL falls with β", "β-VAE 4", "VAE", "loss.kl")
    if names["capacity"]:
        capacity = float(names["capacity"][1])
        within("2 KL ends at the capacity", "capacity", "loss.kl", capacity - 0.5, capacity + 0.5)
    latents = sum(metric.startswith("kl.z") for metric in table.metrics)
    within("3 VAE uses all latents", "VAE", "unsup.active_latents", latents, latents)
    within("3 β = 50 uses at most 3", "β-VAE 50", "unsup.active_latents", 0, 3)
    within("3 the capacity form uses 3 to 5", "capacity", "unsup.active_latents", 3, 5)
    for less, more in itertools.pairwise(["β-VAE 50", "β-VAE 4", "FactorVAE", "capacity"]):
        differs("4 variance of the latents' KL grows in this order", less, more, "unsup.var_dim_kl")
    differs("4 variance of the latents' KL grows in this order", "VAE", "FactorVAE", "unsup.var_dim_kl")
    for metric, more in itertools.product(("aam", "mmig"), ("β-VAE 4", "FactorVAE")):
        differs("5 more aligned than VAE (may fail)", "VAE", more, metric)
    for factor, least, most in (("position_x", 5, np.inf), ("position_y", 5, np.inf), ("shape", 0, 1.5)):
        what = f"{factor} told, times chance"
        within("6 β = 50 keeps positions and loses shape", "β-VAE 50", f"dci.times_chance.{factor}", least, most, what)
    notices = ["Difference of medians over seeds; met where it has the claimed sign, whatever the interval."]
    return study.Frame.from_rows(rows, COLUMNS, title="Claims of the poster", notices=[*notices, *draws.notices])


def assumptions_claims(table, *, replicates: int = 2000, seed: int = 1) -> study.Frame:
    """What Locatello et al. 2019 found, in a weak form, on a table of runs; arguments as for `poster_claims`.

    Args:
        table: with the six scores, losses, total correlations and accuracies; what is missing is left out.
        replicates, seed: of the bootstrap.

    Returns:
        Frame: claim, dataset, what, estimate, lo, hi, limit, met. Analyses that are not possible are named in its
        notices.

    Raises:
        ValueError: no runs that are ok.
    """
    table, options, rows = _ok(table), {"replicates": replicates, "seed": seed}, []
    scores = [metric for metric in SCORES if metric in table.metrics]

    def add(claim, dataset, what, found, limit, met):
        numbers = (float(found[name]) if found.get(name) is not None else np.nan for name in ("estimate", "lo", "hi"))
        rows.append(dict(zip(COLUMNS, (claim, dataset, what, *numbers, limit, met), strict=True)))

    def possible(function, *arguments, **more):
        try:
            return function(table, *arguments, **options, **more)
        except ValueError as error:
            notices.append(str(error))
            return None

    notices = []
    if found := possible(study.metric_correlations, scores):
        for dataset in table.datasets:
            pairs = found["correlations"].select(dataset=dataset).rows()
            told = {(row["metric_a"], row["metric_b"]): row for row in pairs}
            for a, b in (("beta_vae_score", "factor_vae_score"), ("mig", "dci.disentanglement")):
                if (a, b) in told:
                    row = told[a, b]
                    what = f"{table.label(a)}, {table.label(b)}"
                    add("1 these scores agree", dataset, what, row, "> 0.6", bool(row["estimate"] > 0.6))
            upper = [told[pair]["estimate"] for pair in itertools.combinations(scores, 2)]
            positive = int((np.array(upper) > 0).sum())
            add(
                "1 most pairs of scores agree", dataset, f"pairs above 0, of {len(upper)}", {"estimate": positive},
                f">= {0.8 * len(upper):g}", positive >= 0.8 * len(upper),
            )  # fmt: skip
    losses = [name for name in LOSSES if name in table.metrics]
    if losses and (found := possible(study.loss_correlations, scores, losses)):
        for dataset, loss in itertools.product(table.datasets, losses):
            chosen = [row for row in found["correlations"].rows() if (row["dataset"], row["loss"]) == (dataset, loss)]
            strongest = max(chosen, key=lambda row: abs(np.nan_to_num(row["estimate"])))
            what = f"{table.label(loss)}, strongest with {table.label(strongest['metric'])}"
            met = bool(abs(np.nan_to_num(strongest["estimate"])) <= 0.6)
            add("2 no loss predicts scores", dataset, what, strongest, "-0.6 to 0.6", met)
        for loss in losses:
            signs = [row["estimate"] > 0 for row in found["correlations"].rows() if row["loss"] == loss]
            what = f"{table.label(loss)}: scores with a positive sign, of {len(signs)}"
            positive = {"estimate": sum(signs)}
            met = 0 < sum(signs) < len(signs)
            add("2 nor has it one sign with all", "all", what, positive, f"1 to {len(signs) - 1}", met)
    if found := possible(study.total_correlation):
        trends = [row for row in found["trends"].rows() if row["measure"] == "unsup.gaussian_tc"]
        trends = [row for row in trends if row["latents"] == "all"]
        for dataset in table.datasets:
            means = [row for row in trends if row["dataset"] == dataset and row["representation"] == "mean"]
            rising, least = sum(row["estimate"] > 0.5 for row in means), 2 * len(means) / 3
            what = f"methods with a correlation above 0.5, of {len(means)}"
            claim = "3 total correlation of mean codes rises with strength"
            add(claim, dataset, what, {"estimate": rising}, f">= {least:g}", bool(rising >= least))
        for row in trends:
            if row["representation"] == "sampled":
                claim, met = "3 that of sampled codes does not rise", bool(row["estimate"] <= 0 or not row["lo"] > 0)
                add(claim, row["dataset"], row["method"], row, "<= 0, or lo <= 0", met)
    if found := possible(study.variance_shares, scores):
        for row in found["shares"].rows():
            if (row["kind"], row["share"], row["runs"]) == ("adjusted", "seed", "all"):
                what = f"{table.label(row['metric'])}: the seed's share of the variance"
                add("4 the seed matters", row["dataset"], what, row, "lo > 0", bool(row["lo"] > 0))
    if found := possible(study.selection_odds, scores):
        kinds = {
            (row["data"], row["metric"]): row
            for row in found.rows()
            if row["rule"] == "best of one seed" and row["ties"] == "half"
        }
        for kind, row in kinds.items():
            what = f"{kind[0]} data, {kind[1]} score"
            best = row["estimate"] == max(each["estimate"] for each in kinds.values())
            if kind == ("same", "same"):
                add("5 choosing helps most where it was done", "all", what, row, "highest", bool(best))
            add("5 odds of a choice", "all", what, row, "0.45 to 0.75", bool(0.45 <= row["estimate"] <= 0.75))
    if found := possible(study.transfer, scores):
        pairs = [row for row in found["datasets"].rows() if row["dataset_a"] < row["dataset_b"]]
        certain = sum(row["lo"] > 0 for row in pairs)
        what = f"correlations of settings between data sets with an interval above 0, of {len(pairs)}"
        if pairs:
            claim, limit = "6 settings do not transfer in general", f"< {len(pairs)}"
            add(claim, "all", what, {"estimate": certain}, limit, certain < len(pairs))
    if found := possible(study.downstream_correlations, scores):
        of_dci = [row for row in found["correlations"].rows() if row["metric"] == "dci.disentanglement"]
        accuracies = [
            (accuracy_of(row["task"]), row)
            for row in of_dci
            if accuracy_of(row["task"]) and np.isfinite(row["estimate"])
        ]
        for dataset in table.datasets:
            trees = [(task[1], row) for task, row in accuracies if task[0] == "gbt" and row["dataset"] == dataset]
            if trees:
                size, row = max(trees, key=lambda each: each[0])
                what = f"DCI disentanglement, boosted trees of {size}"
                add("7 scores go with accuracy", dataset, what, row, "> 0.6", bool(row["estimate"] > 0.6))
    return study.Frame.from_rows(rows, COLUMNS, title="Claims of Locatello et al. 2019, weakly", notices=notices)


def _ok(table):
    if not isinstance(table, study.ResultsTable):
        raise ValueError(f"table must be a ResultsTable, as of kerasvae.tuning.study_table, got {shown(table)}")
    table = table.ok()
    if not len(table):
        raise ValueError("table holds no runs that are ok")
    return table
