"""Downstream tasks of a table: which there are, and how much of the accuracy few samples give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Real

import numpy as np

from kerasvae.analysis.study.roles import SAMPLED, base_name, representation
from kerasvae.analysis.study.table import ResultsTable

CHANCE = "downstream.chance"
PREDICTORS = ("lr", "gbt")
_ACCURACY = re.compile(r"downstream\.([^.]+)\.(\d+)$")
_EFFICIENCY = re.compile(r"downstream\.([^.]+)\.efficiency(_above_chance)?\.(\d+)\.(\d+)$")
_FEW = 100


def accuracy_of(metric: str):
    """Predictor and number of samples of an accuracy, "downstream.lr.100" -> ("lr", 100); None of another metric."""
    found = _ACCURACY.match(base_name(metric))
    return (found[1], int(found[2])) if found else None


def efficiency_of(metric: str):
    """Predictor, both numbers of samples, and whether chance is subtracted, of a sample efficiency; else None."""
    found = _EFFICIENCY.match(base_name(metric))
    return (found[1], int(found[3]), int(found[4]), bool(found[2])) if found else None


def task_label(metric: str) -> str:
    """What to call a task on a page: "LR100", "Efficiency (GBT, 100/10000)"."""
    accuracy, efficiency = accuracy_of(metric), efficiency_of(metric)
    note = " (sampled)" if representation(metric) == "sampled" else ""
    if accuracy:
        return f"{accuracy[0].upper()}{accuracy[1]}{note}"
    if efficiency:
        predictor, few, most, above_chance = efficiency
        above = ", above chance" if above_chance else ""
        return f"Efficiency ({predictor.upper()}, {few}/{most}{above}){note}"
    return metric


def task_order(metric: str):
    """Key that sorts tasks: accuracies, efficiencies, those above chance; logistic regression first; few samples."""
    accuracy, efficiency = accuracy_of(metric), efficiency_of(metric)
    predictor, *sizes = accuracy or efficiency or ("",)
    place = PREDICTORS.index(predictor) if predictor in PREDICTORS else len(PREDICTORS)
    kind = 0 if accuracy else 1 + efficiency[3] if efficiency else 3
    return kind, place, predictor, sizes, representation(metric) == "sampled", metric


def accuracies(table: ResultsTable, kind: str = "mean") -> list[tuple[str, str, int]]:
    """Names, predictors and numbers of samples of the accuracies that have numbers, in order.

    Args:
        table: of any studies.
        kind: representation, "mean" (default) or "sampled".
    """
    names = sorted(filter(accuracy_of, table.metrics_of("downstream", kind)), key=task_order)
    return [(name, *accuracy_of(name)) for name in names]


def chance_of(table: ResultsTable, chance=None) -> np.ndarray | None:
    """Accuracy of guessing of each run, (runs,), nan where unknown; None where nothing is known.

    Args:
        table: of any studies.
        chance: mean over factors of 1 / number of values, in (0, 1): a number, or {data set: number}. Default None: the
            table's column `downstream.chance`.

    Raises:
        TypeError, ValueError: no such number.
    """
    if chance is None:
        name = table.find(CHANCE)
        known = name is not None and np.isfinite(table.column(name)).any()
        return table.column(name) if known else None
    given = chance if isinstance(chance, Mapping) else dict.fromkeys(table.datasets, chance)
    for dataset, value in given.items():
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"chance must be a number or {{data set: number}}, got {value!r}")
        if not 0 < value < 1:
            raise ValueError(f"chance must be between 0 and 1, got {value!r} for {dataset!r}")
    return np.array([given.get(dataset, np.nan) for dataset in table.dataset.tolist()], np.float64)


def with_efficiency(table: ResultsTable, chance=None) -> ResultsTable:
    """The table with sample efficiencies: accuracy of few samples over that of the most, both numbers in the name.

    `downstream.lr.efficiency.100.10000` of `downstream.lr.100` and `downstream.lr.10000`; few are 100, or the fewest
    where there are none of 100. Where chance is known, also `downstream.lr.efficiency_above_chance.100.10000`, the same
    of (accuracy - chance) / (1 - chance), missing where the most samples are no better than chance. What the table has
    of that name already stays.

    Args:
        table: of any studies, with columns `downstream.lr.10`, `downstream.gbt.100` and so on.
        chance: of `chance_of`.

    Raises:
        TypeError, ValueError: as `chance_of`.
    """
    by_chance, columns = chance_of(table, chance), {}
    for kind, suffix in (("mean", ""), ("sampled", SAMPLED)):
        found = accuracies(table, kind)
        for predictor in dict.fromkeys(each for _, each, _ in found):
            names = {size: name for name, each, size in found if each == predictor}
            for few, most in _pairs(table, names):
                small, large = table.column(names[few]), table.column(names[most])
                start = f"downstream.{predictor}.efficiency"
                columns[f"{start}.{few}.{most}{suffix}"] = _ratio(small, large)
                if by_chance is not None:
                    above = [(each - by_chance) / (1 - by_chance) for each in (small, large)]
                    columns[f"{start}_above_chance.{few}.{most}{suffix}"] = _ratio(*above)
    columns = {name: values for name, values in columns.items() if name not in table.metrics}
    return table.with_metrics(columns) if columns else table


def _pairs(table, names):
    """Fewest and most samples of each data set; data sets may differ."""
    groups = sorted(set(zip(table.study.tolist(), table.dataset.tolist(), strict=True)))
    present = {size: np.isfinite(table.column(name)) for size, name in names.items()}
    pairs = []
    for study, dataset in groups:
        runs = (table.study == study) & (table.dataset == dataset)
        sizes = [size for size in names if present[size][runs].any()]
        if len(sizes) > 1:
            few = _FEW if _FEW in sizes and _FEW < max(sizes) else min(sizes)
            pairs.append((few, max(sizes)))
    return sorted(set(pairs))


def _ratio(small, large):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(large > 0, small / large, np.nan)
