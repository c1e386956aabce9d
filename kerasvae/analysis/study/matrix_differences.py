"""One matrix of correlations minus another: mine beside the published one, and those of two studies."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study import published
from kerasvae.analysis.study.bootstrap import REPLICATES
from kerasvae.analysis.study.correlations import metric_correlations
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold, is_missing
from kerasvae.analysis.study.matching import matched_names, metric_key, renamed_notices
from kerasvae.analysis.study.roles import SAMPLED
from kerasvae.analysis.study.study_pair import study_pairs
from kerasvae.analysis.study.table import ResultsTable, plain_dataset
from kerasvae.analysis.study.transfer import transfer

# Published correlations are printed × 100 without decimals.
ROUNDING = 0.005
# Seeds a setting of the published studies.
PUBLISHED_SEEDS = 50
FEWER_SEEDS = (
    "Transfer is of medians over seeds: the noise of few seeds lowers its correlations, and its intervals more so. "
    "Where it is lower than in a study with more than twice the seeds, nothing is told from that."
)
# What rows and columns of a matrix are that is not square.
_TASKS = ("metric", "task")
_FORMATS = dict.fromkeys(("contains", "differs"), lambda value: "yes" if value else "no")
_FORMATS |= dict.fromkeys(("estimate", "lo", "hi", "own", "published", "estimate_a", "estimate_b"), hundredfold)
_PUBLISHED_NUMBERS = ["own", "published", "estimate", "lo", "hi", "n", "contains", "differs"]
_STUDY_NUMBERS = ["estimate_a", "estimate_b", "estimate", "lo", "hi", "n", "n_a", "n_b", "differs"]


def matrix_differences(
    table: ResultsTable,
    metrics=None,
    *,
    beside: str | None = None,
    reference: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
) -> Analysis:
    """Correlations of scores, and of settings between data sets, minus those published or those of another study.

    Args:
        table: runs of any number of studies.
        metrics: names of scores. Default: all of the mean representation.
        beside: "locatello2019-slides" for the differences from its tables. Default None.
        reference: name of the study that all others are compared with. Default None: all pairs of studies.
        replicates, seed: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `correlations`, `transfer`: `published_differences` of `metric_correlations` and of `transfer`;
        `correlations_between`, `transfer_between`: `study_differences` of these.
        Frames are empty where no names of data sets and metrics are the same.

    Raises:
        ValueError: neither `beside` nor several studies, fewer than 2 scores on one data set only, no runs that are ok,
            or another `beside` or `reference`.
        KeyError: an unknown metric.
    """
    if beside is not None:
        published.check_study(beside)
    several = isinstance(table, ResultsTable) and len(table.ok().studies) > 1
    if reference is not None and isinstance(table, ResultsTable):
        study_pairs(table.ok().studies, reference)
    if isinstance(table, ResultsTable) and not several and beside is None and len(table.ok()):
        raise ValueError('matrix_differences: beside="locatello2019-slides" or at least two studies are needed')
    options = {"beside": beside, "replicates": replicates, "seed": seed}
    of, notices, sentences, frames = {}, [], [], {}
    for name, analysis, frame in (
        ("correlations", metric_correlations, "correlations"),
        ("transfer", transfer, "datasets"),
    ):
        try:
            found = analysis(table, metrics, **options)
        except ValueError as error:
            notices.append(f"No {name}: {error}.")
            continue
        of[name] = found[frame]
        notices += found.notices
    if not of:
        raise ValueError(f"matrix_differences: {'; '.join(notice.rstrip('.') for notice in notices)}")
    for name, found in of.items():
        seeds = seeds_of(table) if name == "transfer" else None
        frames[name] = published_differences(found, seeds)
        sentences += published_sentences(frames[name], table)
        frames[f"{name}_between"] = study_differences(found, reference, seeds) if several else _empty(found)
        sentences += study_sentences(frames[f"{name}_between"], table)
        if name == "transfer" and len(frames[name]) + len(frames["transfer_between"]):
            notices.append(FEWER_SEEDS)
        notices += [*frames[name].notices, *frames[f"{name}_between"].notices]
    return Analysis("Are the matrices those of others?", frames, sentences=sentences, notices=notices)


def published_differences(frame: Frame, seeds: dict | None = None) -> Frame:
    """An analysis' numbers minus the published ones that stand beside them.

    Args:
        frame: of an analysis that was given `beside`: `metric_correlations(...)["correlations"]`,
            `transfer(...)["datasets"]` or `downstream_correlations(...)["correlations"]`.
        seeds: {study: seeds a setting}, of `seeds_of`, for correlations of medians over seeds. Those of few seeds
            are too low: of 200 studies with 5 seeds that were like one with 50 seeds and a correlation of 0.91 (36
            settings, 41 % of the variance the seed's) the mean was 0.77, and no interval held the other's. Default: few
            seeds, where the frame is of transfer; of anything else it does not matter.

    Returns:
        Frame: the columns of `frame` before `estimate`, own, published, estimate (own - published), lo, hi (the ends of
        the own interval, minus the published number), n, contains (whether the own interval holds a number that rounds
        to the published one, or None without an interval), differs (the opposite; None, too, for a correlation of
        medians below the published one of more than twice the seeds). Left out are rows without a published number,
        those of sampled codes, of which nothing is published, and the diagonals of matrices. The published number has
        an interval, too, which nobody knows: of studies that are alike more than 5 % of the numbers differ.
    """
    keys, rows = _keys(frame), []
    for row in _rows(frame) if "published" in frame else ():
        sampled = any(isinstance(row[key], str) and row[key].endswith(SAMPLED) for key in keys)
        if is_missing(row["published"]) or sampled or _diagonal(row, keys):
            continue
        estimate, lo, hi = (row[end] - row["published"] for end in ("estimate", "lo", "hi"))
        contains = None if is_missing(lo) else bool(lo <= ROUNDING + 1e-9 and hi >= -ROUNDING - 1e-9)
        few = _of_medians(frame, seeds) and 2 * (seeds or {}).get(row["study"], 0) < PUBLISHED_SEEDS
        undecided = contains is None or (not contains and few and estimate < 0)
        rows.append(
            {key: row[key] for key in keys}
            | {"own": row["estimate"], "published": row["published"], "estimate": estimate, "lo": lo, "hi": hi}
            | {"n": row["n"], "contains": contains, "differs": None if undecided else not contains}
        )
    title = f"{frame.title}: minus the published" if frame.title else "Minus the published"
    return _frame(rows, [*keys, *_PUBLISHED_NUMBERS], title)


def study_differences(frame: Frame, reference: str | None = None, seeds: dict | None = None) -> Frame:
    """An analysis' numbers of one study minus those of another, where data sets and metrics are the same.

    Which names are the same is said at `kerasvae.analysis.study.replication.replication`, and why the seeds of two
    studies are independent.

    Args:
        frame: with study, further columns that say what a row is of, estimate, lo, hi and n, in this order:
            `metric_correlations(...)["correlations"]`, `transfer(...)["datasets"]`, and all like these.
        reference: name of the study that all others are compared with. Default None: all pairs of studies.
        seeds: as `published_differences`.

    Returns:
        Frame: study_a, study_b, the columns of `frame` between study and estimate, estimate_a, estimate_b, estimate
        (estimate_a - estimate_b), lo, hi, n (the smaller of the two), n_a, n_b, differs (whether the interval excludes
        0; None without one, and for correlations of medians where the study that is below has fewer than half of the
        other's seeds). The diagonals of matrices are left out.

    Raises:
        ValueError: one study only, or a `reference` that is no study.

    Source: Zou 2007, "Toward using confidence intervals to compare correlations", Psychological Methods 12: the
    interval of a difference from those of two independent numbers, which need not be symmetric.
    """
    keys, rows, notices = [key for key in _keys(frame) if key != "study"], [], []
    pairs = study_pairs(tuple(dict.fromkeys(frame["study"].tolist())), reference)
    for study_a, study_b in pairs:
        first, second = (_rows(frame.select(study=study)) for study in (study_a, study_b))
        names = {}
        for kind, key in (("dataset", plain_dataset), ("metric", metric_key)):
            columns = [each for each in keys if each.split("_")[0] == kind]
            there = [list(dict.fromkeys(row[each] for row in part for each in columns)) for part in (first, second)]
            matched = matched_names(*there, key)
            notices += renamed_notices(matched, {"dataset": "data set"}.get(kind, kind), study_a, study_b)
            names |= {each: {b: a for a, b in matched} for each in columns}
        others = {tuple(names.get(key, {}).get(row[key], row[key]) for key in keys): row for row in second}
        for row in first:
            other = others.get(tuple(row[key] for key in keys))
            if other is None or _diagonal(row, keys) or not min(row["n"], other["n"]):
                continue
            found = {
                "study_a": study_a,
                "study_b": study_b,
                **{key: row[key] for key in keys},
                **_difference(row, other),
            }
            below, above = (study_a, study_b) if found["estimate"] < 0 else (study_b, study_a)
            known = seeds or {}
            if (
                _of_medians(frame, seeds)
                and found["differs"]
                and not 2 * known.get(below, 0) >= known.get(above, np.inf)
            ):
                found["differs"] = None
            rows.append(found)
    title = f"{frame.title}: first study minus second" if frame.title else "First study minus second"
    return _frame(rows, ["study_a", "study_b", *keys, *_STUDY_NUMBERS], title, notices)


def seeds_of(table: ResultsTable) -> dict[str, float]:
    """Median number of seeds of the settings of each study, {study: seeds}, of runs that are ok."""
    table, found = table.ok(), {}
    for study in table.studies:
        counts = np.bincount(table.select(study=study).cell_code)
        found[study] = float(np.median(counts[counts > 0]))
    return found


def published_sentences(frame: Frame, table: ResultsTable) -> list[str]:
    """A sentence a study and matrix: how many published numbers are in the intervals, and the largest difference."""
    words = "the interval holds the published number", "largest difference from the published"
    return _sentences(frame, table, ("study",), *words)


def study_sentences(frame: Frame, table: ResultsTable) -> list[str]:
    """A sentence a pair of studies and matrix: how many differences are told from 0, and the largest."""
    words = "the interval of the difference holds 0", "largest difference"
    return _sentences(frame, table, ("study_a", "study_b"), *words)


def _sentences(frame, table, studies, held, largest):
    matrices = {}
    for row in frame.rows():
        sides = _sides(row)
        rest = (row[key] for key in ("dataset", "metric") if key in row and key not in sides)
        if not is_missing(row["estimate"]):
            # A pair stands on both sides of the diagonal.
            of_matrix = matrices.setdefault((tuple(row[study] for study in studies), *rest), {})
            of_matrix.setdefault(frozenset(row[side] for side in sides), row)

    def label(name):
        return table.label(name) if name in table.metrics else name

    found = []
    for (names, *rest), pairs in matrices.items():
        on = ", ".join(filter(None, [" against ".join(filter(None, names)), *map(label, rest)]))
        row = max(pairs.values(), key=lambda each: abs(each["estimate"]))
        known = [_holds(each) for each in pairs.values() if not is_missing(each["lo"])]
        told = f"{held} for {sum(known)} of {len(known)} pairs" if known else "no intervals"
        ends = "" if is_missing(row["lo"]) else f" [{100 * row['lo']:+.0f}, {100 * row['hi']:+.0f}]"
        pair = " – ".join(label(row[side]) for side in _sides(row))
        found.append(f"{on}: {told}; {largest} {100 * row['estimate']:+.0f}{ends} ({pair}).")
    return found


def _holds(row):
    """Whether the interval holds the published number, or 0."""
    return row["contains"] if "contains" in row else row["lo"] <= 0 <= row["hi"]


def _of_medians(frame, seeds):
    return seeds is not None or "dataset_a" in frame


def _sides(row):
    """The two columns that rows and columns of the matrix are."""
    return next((pair for pair in (("metric_a", "metric_b"), ("dataset_a", "dataset_b")) if pair[0] in row), _TASKS)


def _keys(frame):
    columns = frame.columns
    for name in ("study", "estimate", "lo", "hi", "n"):
        if name not in columns:
            raise ValueError(f"frame must have a column {name!r}, got {columns}")
    return columns[: columns.index("estimate")]


def _rows(frame):
    """The rows, with nan for a number that is missing."""
    numbers = [name for name in ("estimate", "lo", "hi", "published") if name in frame]
    return [row | {name: np.nan if row[name] is None else row[name] for name in numbers} for row in frame.rows()]


def _diagonal(row, keys) -> bool:
    """Whether a row is of something with itself."""
    pairs = [key for key in keys if key.endswith("_a") and f"{key[:-2]}_b" in keys]
    return bool(pairs) and all(row[key] == row[f"{key[:-2]}_b"] for key in pairs)


def _difference(row, other):
    estimate = row["estimate"] - other["estimate"]
    lo = estimate - np.hypot(row["estimate"] - row["lo"], other["hi"] - other["estimate"])
    hi = estimate + np.hypot(row["hi"] - row["estimate"], other["estimate"] - other["lo"])
    told = bool(np.isfinite(lo) and np.isfinite(hi))
    return {
        "estimate_a": row["estimate"],
        "estimate_b": other["estimate"],
        "estimate": estimate,
        "lo": float(lo) if told else np.nan,
        "hi": float(hi) if told else np.nan,
        "n": min(row["n"], other["n"]),
        "n_a": row["n"],
        "n_b": other["n"],
        "differs": bool(lo > 0 or hi < 0) if told else None,
    }


def _empty(frame):
    return _frame([], ["study_a", "study_b", *_keys(frame)[1:], *_STUDY_NUMBERS], "First study minus second")


def _frame(rows, columns, title, notices=()):
    formats = {name: form for name, form in _FORMATS.items() if name in columns}
    return Frame.from_rows(rows, columns, title=title, formats=formats, notices=list(dict.fromkeys(notices)))
