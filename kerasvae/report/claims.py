"""Headlines: what the numbers of an analysis say in a line or two, with their intervals."""

from __future__ import annotations

import itertools

from kerasvae.analysis.study.comparison import UNDECIDED
from kerasvae.analysis.study.frame import hundredfold, is_missing
from kerasvae.analysis.study.roles import family
from kerasvae.report.blocks import interval, per_cent
from kerasvae.report.material import Material


def of_study(frame, study: str, **equal):
    """The rows of one study, and of further values."""
    return frame.select(study=study, **equal)


def agreement(material: Material, study: str) -> str:
    """How many pairs of scores agree, and the strongest and the weakest of them."""
    found = material.analysis("agreement")
    several = len(of_study(found["over_datasets"], study)) > 0
    frame = of_study(found["over_datasets" if several else "correlations"], study)
    rows = {(row["metric_a"], row["metric_b"]): row for row in frame.rows()}
    metrics = [metric for metric in dict.fromkeys(frame["metric_a"].tolist()) if family(metric) != "modularity"]
    pairs = [rows[pair] for pair in itertools.combinations(metrics, 2) if not is_missing(rows[pair]["estimate"])]
    if not pairs:
        return "No correlation of two scores is defined."
    on = "on average over data sets" if several else f"on {material.ok.select(study=study).datasets[0]}"
    apart = " (Modularity apart)" if len(metrics) < len(set(frame["metric_a"].tolist())) else ""
    told = [row for row in pairs if not is_missing(row["lo"])]
    if told:
        start = f"{sum(row['lo'] > 0 for row in told)} of {len(pairs)} pairs of scores{apart} correlate above 0 {on}"
    else:
        above = sum(row["estimate"] > 0 for row in pairs)
        start = f"{above} of {len(pairs)} pairs of scores{apart} have a positive correlation {on}, without intervals"
    best, worst = (end(pairs, key=lambda row: row["estimate"]) for end in (max, min))
    if best is worst:
        return f"{start}: {_pair(material, best)}."
    return f"{start}; strongest {_pair(material, best)}, weakest {_pair(material, worst)}."


def losses(material: Material, study: str) -> str:
    """Whether anything that needs no labels is related to all scores with one sign."""
    claims = of_study(material.analysis("losses")["claims"], study).rows()
    judged = [row for row in claims if not is_missing(row["predicts"]) and family(row["loss"]) != "udr"]
    if not judged:
        return "Whether a loss tells good runs from bad ones cannot be said: there are no intervals."
    names = [material.labels.get(row["loss"], row["loss"]) for row in judged if row["predicts"]]
    if names:
        return f"Related to all scores on all data sets with one sign: {', '.join(names)}."
    return "No loss is related to all scores on all data sets with one sign."


def shares(material: Material, study: str) -> str:
    """What the seed and the method account for, over scores."""
    rows = share_rows(material, study)
    told = {
        share: [row for row in rows if row["share"] == share and not is_missing(row["estimate"])]
        for share in ("method", "strength", "seed")
    }
    if not told["seed"]:
        return "Shares of method, strength and seed are not identifiable: most settings have too few seeds."
    parts, verb = [], " accounts"
    for share, found in told.items():
        low, high = (end(found, key=lambda row: row["estimate"]) for end in (min, max))
        if low is high:
            parts.append(f"the {share}{verb} for {interval(low, unit=' %')}")
        else:
            first, last = (
                f"{interval(row, unit=' %')} ({material.labels.get(row['metric'], row['metric'])})"
                for row in (low, high)
            )
            parts.append(f"the {share}{verb} for {first} to {last}")
        verb = ""
    return f"Of a score's variance {'; '.join(parts)} (adjusted shares)."


def seed_share(material: Material, study: str) -> str:
    """The seed's share alone."""
    seeds = [row["estimate"] for row in share_rows(material, study) if row["share"] == "seed"]
    seeds = [value for value in seeds if not is_missing(value)]
    if not seeds:
        return "Shares of method, strength and seed are not identifiable"
    low, high = hundredfold(min(seeds)), hundredfold(max(seeds))
    return f"The seed accounts for {low if low == high else f'{low} to {high}'} % of a score's variance"


def share_rows(material: Material, study: str) -> list[dict]:
    """Adjusted shares of all runs, the mean over data sets where there are several."""
    found = material.analysis("shares")
    over = of_study(found["over_datasets"], study, kind="adjusted", runs="all")
    return (over if len(over) else of_study(found["shares"], study, kind="adjusted", runs="all")).rows()


def seed_over_method(material: Material, study: str) -> str:
    """The sentence of spec 4.1 where seeds spread scores more than methods do."""
    rows = [row for row in of_study(material.analysis("shares")["spread"], study).rows()]
    known = [row for row in rows if not is_missing(row["within"]) and not is_missing(row["between"])]
    more = [row for row in known if row["within"] > row["between"]]
    if not more:
        return ""
    span = "runs of one setting span more than the methods' medians do"
    where = "every score and data set" if len(more) == len(known) else f"{len(more)} of {len(known)} scores by data set"
    if 2 * len(more) > len(known):
        return f"On this table the seed matters more than the method: for {where}, {span}."
    return f"For {where}, {span}."


def selection(material: Material, study: str) -> str:
    """The odds of a setting chosen by a score of one seed."""
    frame = of_study(material.analysis("selection"), study, rule="best of one seed", ties="half")
    words = {
        ("same", "same"): "by the same score on the same data set",
        ("same", "other"): "by another score on the same data set",
        ("other", "same"): "by the same score on another data set",
        ("other", "other"): "by another score on another data set",
    }
    rows = [row for row in frame.rows() if not is_missing(row["estimate"])]
    if not rows:
        return "Nothing can be said of choosing settings."
    parts = [f"{interval(row, unit=' %')} {words[row['data'], row['metric']]}" for row in rows]
    return (
        "A setting chosen by a score, which needs labels, on one seed beats a random run with a probability of "
        f"{'; '.join(parts)} (chance: 50 %)."
    )


def total_correlation(material: Material, study: str) -> str:
    """For how many methods total correlation rises and falls, sampled, mean, and of active latents."""
    found = material.analysis("tc")
    over = of_study(found["over_datasets"], study)
    frame = over if len(over) else of_study(found["trends"], study)
    measure = frame["measure"].tolist()[0] if len(frame) else None
    parts = []
    for representation, latents, words in (
        ("sampled", "all", "sampled codes"),
        ("mean", "all", "mean codes"),
        ("mean", "active", "the active latents' mean codes alone"),
    ):
        mine = frame.select(measure=measure, representation=representation, latents=latents).rows()
        mine = [row for row in mine if not is_missing(row["estimate"])]
        if not mine:
            continue
        intervals = all(not is_missing(row["lo"]) for row in mine)
        rises = sum((row["lo"] if intervals else row["estimate"]) > 0 for row in mine)
        falls = sum((row["hi"] if intervals else row["estimate"]) < 0 for row in mine)
        parts.append(f"of {words} it rises for {rises} and falls for {falls} of {len(mine)} methods")
    if not parts:
        return "No trend of total correlation is defined."
    name = "total correlation" if measure == "unsup.gaussian_tc" else "mutual information"
    return f"With stronger regularisation, {name}: {'; '.join(parts)}."


def comparison(material: Material, study: str, metric: str) -> str:
    """The best method by a score and what it is over the next, or that there is no evidence."""
    rows = comparison_rows(material, study, metric)
    if len(rows) < 2:
        return ""
    sign = material.ok.role(metric).sign or 1
    best, second = sorted(rows, key=lambda row: -sign * row["estimate"])[:2]
    dataset = best["dataset"]
    odds = of_study(
        material.analysis("comparison")["improvement"], study, metric=metric, dataset=dataset, of="all strengths",
        first=best["method"], second=second["method"],
    ).rows()  # fmt: skip
    names = [material.labels.get(row["method"], row["method"]) for row in (best, second)]
    told = f"{names[0]} has the best {material.labels[metric]}, {interval(best, 1, '.2f')}"
    if odds and not is_missing(odds[0]["estimate"]):
        verdict = "" if odds[0]["evidence"] else ": no evidence of a difference"
        told += f"; P(better than {names[1]}) = {interval(odds[0], 1, '.2f')}{verdict}"
    return told


def comparison_rows(material: Material, study: str, metric: str) -> list[dict]:
    """Interquartile means of methods, all strengths pooled, over all data sets where there are several."""
    frame = of_study(material.analysis("comparison")["scores"], study, metric=metric, of="all strengths")
    frame = frame.select(statistic="iqm", dataset=whole(material, study))
    return [row for row in frame.rows() if not is_missing(row["estimate"])]


def whole(material: Material, study: str) -> str:
    """What the comparison calls all data sets of a study: "all", or the name of the only one."""
    datasets = material.ok.select(study=study).datasets
    return "all" if len(datasets) > 1 else datasets[0]


def undecided(material: Material, study: str) -> list[str]:
    """Pairs of methods that are not told apart, a sentence each score."""
    frame = of_study(
        material.analysis("comparison")["improvement"], study, dataset=whole(material, study), of="all strengths"
    )
    found = {}
    for row in frame.rows():
        if is_missing(row["estimate"]) or not UNDECIDED[0] <= row["estimate"] <= UNDECIDED[1]:
            continue
        names = [material.labels.get(row[end], row[end]) for end in ("first", "second")]
        if tuple(names[::-1]) not in found.setdefault(row["metric"], {}):
            found[row["metric"]][tuple(names)] = row["estimate"]
    total = {metric: len(frame.select(metric=metric)) // 2 for metric in found}
    lines = []
    for metric, pairs in found.items():
        told = ", ".join(f"{a} – {b} ({value:.2f})" for (a, b), value in list(pairs.items())[:6])
        more = f" and {len(pairs) - 6} more" if len(pairs) > 6 else ""
        lines.append(
            f"{material.labels[metric]}: no evidence of a difference for {len(pairs)} of {total[metric]} pairs of "
            f"methods, whose probability of improvement lies in 0.35 to 0.65: {told}{more}."
        )
    return lines


def downstream(material: Material, study: str) -> str:
    """How the accuracy of downstream tasks goes with scores."""
    rows = of_study(material.analysis("downstream")["correlations"], study).rows()
    tasks = [row for row in rows if ".efficiency" not in row["task"] and not is_missing(row["estimate"])]
    if not tasks:
        return "No correlation of a score with a downstream task is defined."
    intervals = [row for row in tasks if not is_missing(row["lo"])]
    if intervals:
        above, below = sum(row["lo"] > 0 for row in intervals), sum(row["hi"] < 0 for row in intervals)
        return f"Scores against accuracy: {above} of {len(tasks)} correlations have an interval above 0, {below} below"
    return f"Scores against accuracy: {sum(row['estimate'] > 0 for row in tasks)} of {len(tasks)} are positive"


def matrix_words(frame, what: str) -> str:
    """A matrix of correlations in words, for those who do not see it; of a symmetric one without its diagonal."""
    start = next((name.removesuffix("_a") for name in frame.columns if name.endswith("_a")), None)
    rows = [row for row in frame.rows() if start is None or row[f"{start}_a"] != row[f"{start}_b"]]
    values = [row["estimate"] for row in rows if not is_missing(row["estimate"])]
    if not values:
        return f"Matrix of {what}: undefined throughout."
    return f"Matrix of {what}: from {hundredfold(min(values))} to {hundredfold(max(values))}, times 100."


def share_words(rows, labels) -> str:
    """Shares in words."""
    told = {}
    for row in rows:
        if row["share"] in ("method", "strength", "seed") and not is_missing(row["estimate"]):
            told.setdefault(row["metric"], []).append(f"{row['share']} {per_cent(row['estimate'])}")
    return "; ".join(f"{labels.get(metric, metric)}: {', '.join(parts)}" for metric, parts in told.items()) + "."


def _pair(material, row):
    names = (material.labels.get(row[end], row[end]) for end in ("metric_a", "metric_b"))
    return f"{' – '.join(names)} {interval(row)}"
