"""What was understood of a table, which analyses it allows, and why not the others."""

from __future__ import annotations

import html

import numpy as np

from kerasvae.analysis.study import roles
from kerasvae.analysis.study.collapse import collapse_notice
from kerasvae.analysis.study.frame import Frame
from kerasvae.analysis.study.losses import with_elbo
from kerasvae.analysis.study.replication import why_no_replication
from kerasvae.analysis.study.table import OK, STATUSES, ResultsTable, strength_text, value_order

# Share of runs at a score's largest value above which its order tells little.
SATURATED = 0.2
# Strengths of a method below which an optimum at the end of the range is no news.
FEWEST_STRENGTHS = 3


class Description:
    """What `describe` found. It prints, in notebooks too.

    Attributes:
        facts: sentences on runs, settings and metrics.
        analyses: Frame with columns section, analysis, possible (bool), why_not.
        notices: how columns were understood and what was left out.
        warnings: what to be careful with.
    """

    def __init__(self, facts, analyses, notices, warnings):
        self.facts, self.analyses, self.notices, self.warnings = list(facts), analyses, list(notices), list(warnings)

    @property
    def possible(self) -> list[str]:
        """Names of the analyses that the table allows."""
        return self.analyses.select(possible=True)["analysis"].tolist()

    def __str__(self):
        return "\n".join([*self.facts, *self.notices, *self.warnings, "", str(self.analyses)])

    def _repr_html_(self):
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in (*self.facts, *self.notices, *self.warnings))
        return f"<ul>{lines}</ul>{self.analyses._repr_html_()}"

    def __repr__(self):
        return f"<Description: {self.facts[0]} {len(self.possible)} of {len(self.analyses)} analyses are possible>"


def describe(table: ResultsTable) -> Description:
    """Say what was understood of a table.

    Args:
        table: of `kerasvae.analysis.study.load`.

    Returns:
        Description.

    Raises:
        TypeError: something else.
    """
    if not isinstance(table, ResultsTable):
        raise TypeError(f"table must be a ResultsTable, see kerasvae.analysis.study.load, got {type(table).__name__}")
    names = {"section": [], "analysis": [], "possible": [], "why_not": []}
    for section, analysis, reason in _reasons(table):
        for name, value in zip(names, (section, analysis, not reason, reason), strict=True):
            names[name].append(value)
    analyses = Frame(names, title="Analyses", formats={"possible": lambda value: "yes" if value else "no"})
    return Description(_facts(table), analyses, table.notices, warnings_of(table))


def warnings_of(table: ResultsTable) -> list[str]:
    """What to be careful with: collapsed runs, saturated scores, strengths that are best at the end of their range."""
    found = []
    table = table.ok()
    for study in table.studies:
        part = table.select(study=study)
        found += collapse_notice(part)
        for place, dataset in enumerate(part.datasets):
            runs = part.where(part.dataset_code == place)
            for metric in runs.metrics_of("score"):
                column = runs.column(metric)
                column = column[np.isfinite(column)]
                share = float((column == column.max()).mean()) if len(column) else 0
                if share > SATURATED and np.ptp(column) > 0:
                    found.append(
                        f"{runs.label(metric)} on {dataset}: {share:.0%} of the runs have its largest value, "
                        f"{column.max():g}; what tells them apart is lost."
                    )
            found += _at_the_border(runs, dataset)
    return list(dict.fromkeys(found))


def _at_the_border(table, dataset):
    """Methods whose best strength, by median, is the first or last of its range for most scores."""
    found = []
    for place, method in enumerate(table.methods):
        runs = table.where(table.method_code == place)
        strengths = sorted(set(runs.strength.tolist()), key=value_order)
        if len(strengths) < FEWEST_STRENGTHS or not all(isinstance(strength, float) for strength in strengths):
            continue
        ends, metrics = {}, runs.metrics_of("score")
        for metric in metrics:
            medians = [_median(runs.column(metric)[runs.strength == strength]) for strength in strengths]
            if not np.isfinite(medians).all():
                continue
            best = np.flatnonzero(np.asarray(medians) == max(medians))
            if len(best) == 1 and best[0] in (0, len(strengths) - 1):
                ends.setdefault(strengths[best[0]], []).append(runs.label(metric))
        name = next(iter(set(runs.strength_name.tolist())), "") or "strength"
        for strength, labels in ends.items():
            # A single score is best somewhere, and noise puts that at an end as often as not.
            if len(labels) < 2 or 2 * len(labels) <= len(metrics):
                continue
            found.append(
                f"{method} on {dataset}: {name}={strength_text(strength)}, the end of its range, is best for "
                f"{', '.join(labels)}: a wider range may be better still."
            )
    return found


def _median(values):
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else np.nan


def _facts(table):
    counts = {status: int((table.status == status).sum()) for status in STATUSES}
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count and status != OK)
    studies = (
        f" of {len(table.studies)} studies ({', '.join(map(repr, table.studies))})" if len(table.studies) > 1 else ""
    )
    facts = [f"{len(table)} runs{studies}, {counts[OK]} ok" + (f", {told}." if told else ".")]
    if not len(table):
        return facts
    facts.append(f"Data sets: {', '.join(table.datasets)}.")
    for place, method in enumerate(table.methods):
        runs = table.where(table.method_code == place)
        strengths = sorted(set(runs.strength.tolist()) - {None}, key=value_order)
        names = " or ".join(sorted(set(runs.strength_name.tolist()) - {""})) or "strength"
        told = f": {names} {', '.join(map(strength_text, strengths))}" if strengths else ": no strength"
        facts.append(f"{method}{told} ({len(runs)} runs).")
    if table.varying:
        facts.append(f"Hyper-parameters that vary, and are part of a setting: {', '.join(table.varying)}.")
    done = table.ok()
    fewest, most = done.seeds_per_setting
    seeds = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    complete = bool(done.studies) and all(done.select(study=study).complete for study in done.studies)
    grid = "complete" if complete else "not complete, so runs are resampled within settings"
    facts.append(f"{len(done.settings)} settings, {seeds} seeds each; the grid is {grid}.")
    for role in roles.ROLES:
        metrics = table.metrics_of(role, None)
        if metrics:
            facts.append(f"{_ROLE_TITLES[role]}: {', '.join(_metric(table, metric) for metric in metrics)}.")
    return facts


_ROLE_TITLES = {
    "score": "Scores",
    "unsupervised": "Without labels",
    "downstream": "Downstream tasks",
    "cost": "Cost",
    "part": "Not analysed on their own",
}


def _metric(table, metric):
    role = table.role(metric)
    return metric if role.better == "neither" or role.role == "part" else f"{metric} ({role.better} is better)"


def _seeds_differ(table) -> bool:
    """Whether every run of a data set and setting has a seed of its own, as choosing and transfer need."""
    codes = table.study, table.dataset_code, table.setting_code, table.seed_code
    return len(set(zip(*(code.tolist() for code in codes), strict=True))) == len(table)


def _reasons(table):
    """(section, analysis, why it is not possible or "")."""
    table = table.ok()
    scores, without = table.metrics_of("score"), with_elbo(table).metrics_of("unsupervised", None)
    strengths = [
        len({value for value in table.strength[table.method_code == place].tolist() if value is not None})
        for place in range(len(table.methods))
    ]
    seeds, datasets = table.seeds_per_setting[1], len(table.datasets)
    tc = table.find("unsup.gaussian_tc"), table.find("unsup.gaussian_tc", "sampled")
    needs = {
        "runs": "no runs that are ok" if not len(table) else "fewer than 3 runs" if len(table) < 3 else "",
        "scores": "" if scores else "no scores",
        "two scores": "" if len(scores) > 1 else "fewer than 2 scores",
        "without": "" if without else "no losses or other metrics that need no labels",
        "tc": "" if all(tc) else "no unsup.gaussian_tc of mean and sampled codes",
        "strengths": "" if strengths and max(strengths) > 1 else "one strength a method, or none known",
        "settings": "" if len(table.settings) > 1 else "one setting only",
        "seeds": "" if seeds > 1 else "one seed a setting",
        "three seeds": "" if seeds > 2 else "fewer than 3 seeds a setting",
        "methods": "" if len(table.methods) > 1 else "one method only",
        "datasets": "" if datasets > 1 else "one data set only",
        "downstream": "" if table.metrics_of("downstream") else "no downstream.* metrics",
        "udr": "" if table.find("udr") else "no udr",
        "replication": why_no_replication(table),
        "seeds apart": "" if _seeds_differ(table) else "runs of a setting that share a seed",
    }
    analyses = (
        ("1.1", "correlation of scores", "runs", "two scores"),
        ("1.2", "losses against scores", "runs", "scores", "without"),
        ("1.3", "total correlation of mean and sampled codes", "runs", "tc", "strengths"),
        ("1.4", "shares of method, strength and seed", "runs", "scores", "settings", "seeds"),
        ("1.5", "selection on the same data set", "runs", "scores", "settings", "seeds", "seeds apart"),
        (
            *("1.5", "selection and transfer between data sets"),
            *("runs", "scores", "settings", "seeds", "seeds apart", "datasets"),
        ),
        ("1.6", "downstream tasks", "runs", "scores", "downstream"),
        ("1.7", "comparison of methods", "runs", "scores", "methods"),
        ("1.9", "UDR as a rule of selection", "runs", "scores", "udr"),
        ("4.1", "replication between studies", "replication"),
    )
    for section, name, *needed in analyses:
        reasons = [needs[need] for need in needed if needs[need]]
        yield section, name, reasons[0] if needs["runs"] == "no runs that are ok" else "; ".join(reasons)
