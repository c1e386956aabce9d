"""Two studies of a table: the data sets, settings and metrics that both have, and those that one has."""

from __future__ import annotations

import itertools

import numpy as np

from kerasvae.analysis.study.cells import run_cube, values_of
from kerasvae.analysis.study.matching import matched_names, metric_key, quoted, renamed_notices
from kerasvae.analysis.study.table import dataset_order, plain_dataset, strength_text


def study_pairs(studies, reference: str | None = None) -> list[tuple[str, str]]:
    """All pairs of studies, or of every other one with `reference`; ValueError with one study or an unknown reference.

    Args:
        studies: names, in order.
        reference: one of them, or None.
    """
    if reference is not None and reference not in studies:
        raise ValueError(f"reference must be one of {', '.join(map(repr, studies))}, got {reference!r}")
    if len(studies) < 2:
        raise ValueError(
            "at least two studies with runs that are ok are needed, got one: load them by name, "
            'load({"mine": "results.csv", "theirs": other})'
        )
    if reference is None:
        return list(itertools.combinations(studies, 2))
    return [(study, reference) for study in studies if study != reference]


class StudyPair:
    """What two studies have in common.

    Args:
        table: runs of several studies, all ok.
        study_a, study_b: names of two of them.
        metrics: names of the metrics that are compared; the other study's name of one is enough.

    Attributes:
        names: {"study_a": name, "study_b": name}.
        a, b: their runs.
        cells: {data set, as `a` calls it: (its place in a, in b, [(setting, its place in a, in b), ...])}.
        metrics: [(name in a, name in b), ...] that both have numbers of.
        reason: why there is nothing to compare, or "".
        notices: what was taken to be the same.
    """

    def __init__(self, table, study_a, study_b, metrics):
        self.names = {"study_a": study_a, "study_b": study_b}
        self.a, self.b = (table.select(study=study) for study in (study_a, study_b))
        there = [
            [metric for metric in table.metrics if np.isfinite(part.column(metric)).any()] for part in (self.a, self.b)
        ]
        self.metrics = [pair for pair in matched_names(*there, metric_key) if set(pair) & set(metrics)]
        self.datasets = matched_names(self.a.datasets, self.b.datasets, plain_dataset)
        self.cubes = run_cube(self.a), run_cube(self.b)
        places = {setting: place for place, setting in enumerate(self.b.settings)}
        self.cells = {}
        for first, second in self.datasets:
            at = self.a.datasets.index(first), self.b.datasets.index(second)
            run = [(cube[place] >= 0).any(axis=1) for cube, place in zip(self.cubes, at, strict=True)]
            both = [
                (setting, place, places[setting])
                for place, setting in enumerate(self.a.settings)
                if run[0][place] and setting in places and run[1][places[setting]]
            ]
            self.cells[first] = (*at, both)
        self.reason = self._reason()
        self.notices = [] if self.reason else self._notices()

    def _reason(self):
        if not self.datasets:
            return "no data set in common"
        if not any(cells for *_, cells in self.cells.values()):
            varying = [
                name
                for name in self.a.varying
                if any(set(part.hyper_parameters[name].tolist()) == {None} for part in (self.a, self.b))
            ]
            told = f": {', '.join(f'hp.{name}' for name in varying)} is told of one of them alone" if varying else ""
            return f"no setting in common on a data set{told}"
        if not any(np.any(np.minimum(*self.counted(*each))) for each in itertools.product(self.cells, self.metrics)):
            return "no metric in common on a setting"
        return ""

    def counted(self, dataset, names):
        """Runs of each shared setting that have a metric, int64 (settings,), in both studies."""
        *at, cells = self.cells[dataset]
        found = []
        for part, cube, place, side, name in zip((self.a, self.b), self.cubes, at, (1, 2), names, strict=True):
            laid_out = values_of(cube[place, [cell[side] for cell in cells]], part.column(name))
            found.append(np.isfinite(laid_out).sum(axis=1))
        return found

    def counts(self):
        """Rows of `shared`: every data set of either study."""
        settings = [
            dict(zip(part.datasets, (cube >= 0).any(axis=2).sum(axis=1).tolist(), strict=True))
            for part, cube in zip((self.a, self.b), self.cubes, strict=True)
        ]
        matched = dict(self.datasets)
        names = [(name, matched.get(name)) for name in self.a.datasets]
        names += [(None, name) for name in self.b.datasets if name not in matched.values()]
        rows = []
        for first, second in sorted(names, key=lambda pair: dataset_order(pair[1] if pair[0] is None else pair[0])):
            both = len(self.cells[first][2]) if first in self.cells else 0
            only = [found.get(name, 0) - both for found, name in zip(settings, (first, second), strict=True)]
            dataset = second if first is None else first
            rows.append({**self.names, "dataset": dataset, "both": both, "only_a": only[0], "only_b": only[1]})
        return rows

    def _notices(self):
        names = tuple(self.names.values())
        found = renamed_notices(self.datasets, "data set", *names) + renamed_notices(self.metrics, "metric", *names)
        strengths = {}
        for setting, _, place in (cell for *_, cells in self.cells.values() for cell in cells):
            called = setting.strength_name, self.b.settings[place].strength_name
            if all(called) and called[0] != called[1]:
                strengths[setting.method] = called
        found += renamed_notices(strengths.values(), "strength", *names)
        for name, values in self.a.hyper_parameters.items():
            if name in self.a.varying:
                continue
            told = [
                ", ".join(dict.fromkeys(strength_text(v) for v in each.tolist() if v is not None))
                for each in (values, self.b.hyper_parameters[name])
            ]
            if all(told) and told[0] != told[1]:
                sides = (f"{value} in {quoted(study)}" for value, study in zip(told, names, strict=True))
                found.append(f"hp.{name} differs between the studies, and is no part of a setting: {', '.join(sides)}.")
        return found
