"""From lines whose columns are understood to a table of runs and metrics."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from kerasvae.analysis.study import roles
from kerasvae.analysis.study.columns import Lines
from kerasvae.analysis.study.entries import is_nothing
from kerasvae.analysis.study.table import (
    FIELDS,
    OK,
    ResultsTable,
    dataset_order,
    method_order,
    metric_order,
    strength_text,
    value_order,
)

SHOWN = 5
# Numbers above this overflow when they are squared and summed in single precision; what is so large has diverged.
LARGEST = 1e30
# Known scores are at most 1, but for what rounding adds.
HIGHEST_SCORE = 1.001


def assemble(lines: Lines) -> ResultsTable:
    """The table of some lines.

    Raises:
        ValueError: a number that comes twice for one run, or lines of one run that contradict each other.
    """
    notices = list(lines.notices)
    count = len(lines.fields["seed"])
    lines.fields["run_id"] = _run_ids(lines, count)
    row, metric, value = _entries(lines, count)
    keep = _without_superseded(lines, row, metric, value, count, notices)
    run_of_row, first_rows = _runs(lines, keep)
    names = sorted(set(metric.tolist()) | set(lines.metrics), key=metric_order)
    places = {name: number for number, name in enumerate(names)}
    column = np.fromiter((places[name] for name in metric.tolist()), np.int64, len(metric))
    there, empty = keep[row] & (np.abs(value) <= LARGEST), _empty(lines)
    beyond = int((keep[row] & np.isfinite(value) & ~there).sum())
    non_finite = int((keep[row] & ~there & ~empty).sum())
    runs, column, value = run_of_row[row[there]], column[there], value[there]
    fields = {name: _objects([lines.fields[name][place] for place in first_rows]) for name in FIELDS}
    fields["seed"] = fields["seed"].astype(np.int64) if len(first_rows) else np.zeros(0, np.int64)
    _check_duplicates(fields, names, runs, column, value)
    values = np.full((len(first_rows), len(names)), np.nan)
    values[runs, column] = value
    hyper = {name: _objects([each[p] for p in first_rows]) for name, each in lines.hyper_parameters.items()}
    hyper = {name: each for name, each in sorted(hyper.items()) if any(v is not None for v in each.tolist())}
    labels = _labels(lines, run_of_row, first_rows, keep, notices)
    order = _order(fields, hyper)
    fields = {name: each[order] for name, each in fields.items()}
    hyper = {name: each[order] for name, each in hyper.items()}
    notices += _on_values(names, lines.roles, non_finite, beyond, fields, hyper, values[order])
    return ResultsTable(
        **fields,
        hyper_parameters=hyper,
        metrics=tuple(names),
        values=values[order],
        labels={name: each[order] for name, each in labels.items()},
        varying=varying(fields, hyper),
        roles=lines.roles,
        notices=tuple(dict.fromkeys(notices)),
        non_finite=non_finite,
    )


def stack(tables) -> ResultsTable:
    """One table of several; what is in more than one must not contradict.

    Raises:
        ValueError: as `assemble`.
    """
    tables = list(tables)
    fields = {name: [each for table in tables for each in getattr(table, name).tolist()] for name in FIELDS}
    metrics = sorted({metric for table in tables for metric in table.metrics}, key=metric_order)

    def joined(kind):
        names = dict.fromkeys(name for table in tables for name in getattr(table, kind))
        return {
            name: [
                each
                for table in tables
                for each in (
                    getattr(table, kind)[name].tolist() if name in getattr(table, kind) else [None] * len(table)
                )
            ]
            for name in names
        }

    columns = {
        metric: [
            None if np.isnan(each) else each
            for table in tables
            for each in (table.column(metric).tolist() if metric in table.metrics else [np.nan] * len(table))
        ]
        for metric in metrics
    }
    own_roles = {name: role for table in tables for name, role in table.roles.items()}
    # What is said of all runs together is said of those of all tables.
    notices = [notice for table in tables for notice in table.notices if notice not in _on_values_of(table)]
    table = assemble(Lines(fields, joined("hyper_parameters"), columns, None, joined("labels"), own_roles, notices))
    return table._with(non_finite=sum(each.non_finite for each in tables))


def varying(fields, hyper) -> tuple[str, ...]:
    """Hyper-parameters that tell runs apart where data set, method, strength and those before do not."""
    groups = list(zip(*(fields[name].tolist() for name in ("study", "dataset", "method", "strength")), strict=True))
    found = []
    for name, values in hyper.items():
        refined = list(zip(groups, values.tolist(), strict=True))
        if len(set(refined)) > len(set(groups)):
            found.append(name)
            places = {group: number for number, group in enumerate(dict.fromkeys(refined))}
            groups = [places[group] for group in refined]
    return tuple(found)


def _entries(lines, count):
    """Row, metric and value of every number, empty ones as nan."""
    if lines.long is not None:
        names, values = lines.long
        rows = np.arange(count)
    else:
        names = [name for name in lines.metrics for _ in range(count)]
        values = [value for column in lines.metrics.values() for value in column]
        rows = np.tile(np.arange(count), len(lines.metrics))
    return rows, _objects(names), np.array([np.nan if value is None else value for value in values], np.float64)


def _empty(lines):
    """Which values are nothing at all, and not "nan"."""
    values = lines.long[1] if lines.long is not None else [v for column in lines.metrics.values() for v in column]
    return np.fromiter((value is None for value in values), bool, len(values))


def _run_ids(lines, count):
    """The run of each row: what the table says, else a hash of what tells runs apart."""
    start = [lines.fields[name] for name in ("study", "dataset", "method", "strength", "seed")]
    hyper = sorted(lines.hyper_parameters.items())
    found, known = [], {}
    for place in range(count):
        if lines.fields["run_id"][place]:
            found.append(lines.fields["run_id"][place])
            continue
        told = (*(each[place] for each in start), *(each[place] for _, each in hyper))
        if told not in known:
            texts = [exact_text(value) for value in told[:5]]
            texts += [
                f"{name}={exact_text(value)}"
                for (name, _), value in zip(hyper, told[5:], strict=True)
                if value is not None
            ]
            known[told] = hashlib.sha256(repr(texts).encode()).hexdigest()[:12]
        found.append(known[told])
    return found


def _keys(lines):
    return list(zip(lines.fields["study"], lines.fields["run_id"], strict=True))


def exact_text(value) -> str:
    """A value as text that is the same for 1 and 1.0, with all digits."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return (
        "" if value is None else str(int(value)) if whole else repr(value) if isinstance(value, float) else str(value)
    )


def _without_superseded(lines, row, metric, value, count, notices):
    """Rows that count: not the attempts that did not end well of runs that have another row.

    Of a run with a row that is ok, rows that are not ok and have no number beside those of the ok ones are left out. Of
    a run without, whose numbers no analysis takes, those whose status is not that of the last row, and those before the
    last one with the same metrics.
    """
    status, keys = lines.fields["status"], _keys(lines)
    keep = np.ones(count, bool)
    if all(each == OK for each in status):
        return keep
    rows_of, numbers = {}, {}
    for place in range(count):
        rows_of.setdefault(keys[place], []).append(place)
    there = np.isfinite(value)
    for place, name in zip(row[there].tolist(), metric[there].tolist(), strict=True):
        numbers.setdefault(place, set()).add(name)
    superseded, repeated = 0, 0
    for places in rows_of.values():
        done = [place for place in places if status[place] == OK]
        if len(places) < 2 or len(done) == len(places):
            continue
        known = set().union(*(numbers.get(place, ()) for place in done))
        if done:
            out = [place for place in places if status[place] != OK and numbers.get(place, set()) <= known]
            superseded += bool(out)
        else:
            out, later = [], set()
            for place in reversed(places):
                own = numbers.get(place, set())
                if status[place] != status[places[-1]] or (own and own <= later):
                    out.append(place)
                later |= own
            repeated += bool(out)
        keep[out] = False
    if superseded:
        notices.append(f"Left out: failed attempts of {superseded} runs that have finished since.")
    if repeated:
        notices.append(f"Left out: all but the last attempt of {repeated} runs that never finished.")
    return keep


def _runs(lines, keep):
    """Each row's run, -1 for rows left out, and the first row of every run; lines of one run must agree."""
    run_of_row, first_rows, places, keys = np.full(len(keep), -1), [], {}, _keys(lines)
    compared = [lines.fields[name] for name in FIELDS] + list(lines.hyper_parameters.values())
    names = [*FIELDS, *(f"hp.{name}" for name in lines.hyper_parameters)]
    for row in np.flatnonzero(keep).tolist():
        key = keys[row]
        if key not in places:
            places[key] = len(first_rows)
            first_rows.append(row)
        else:
            first = first_rows[places[key]]
            for name, column in zip(names, compared, strict=True):
                if column[first] != column[row]:
                    raise ValueError(
                        f"run_id {key[1]!r} has {name} {column[first]!r} in row {first + 1} and {column[row]!r} in row "
                        f"{row + 1} ({_told(lines.fields, first)}): a run has one {name}"
                    )
        run_of_row[row] = places[key]
    return run_of_row, first_rows


def _check_duplicates(fields, names, runs, column, value):
    flat = runs * max(1, len(names)) + column
    found, counts = np.unique(flat, return_counts=True)
    twice = found[counts > 1]
    if len(twice):
        told = []
        for each in twice[:SHOWN].tolist():
            run, place = divmod(each, len(names))
            metric = names[place].removesuffix(roles.SAMPLED)
            told.append(f"({_told(fields, run)}: {metric}, {roles.representation(names[place])} representation)")
        copies = len(set(zip(flat.tolist(), value.tolist(), strict=True))) == len(found)
        more = f" and {len(twice) - SHOWN} more" if len(twice) > SHOWN else ""
        raise ValueError(
            f"{len(twice)} numbers come more than once for a run, metric and representation: {'; '.join(told)}{more}."
            f"{' All are equal: leave the copies out.' if copies else ''}"
            " If they are of different runs, give the columns that tell these apart: seed, hp.NAME or run_id; if they "
            "are of one, at several steps, keep its last line"
        )


def _told(fields, run):
    """A run in words: "dsprites, beta_vae, 4, seed 1"."""
    where = [
        fields["study"][run],
        fields["dataset"][run],
        fields["method"][run],
        strength_text(fields["strength"][run]),
    ]
    return f"{', '.join(filter(None, map(str, where)))}, seed {fields['seed'][run]}"


def _labels(lines, run_of_row, first_rows, keep, notices):
    found, dropped = {}, []
    for name, values in lines.labels.items():
        column = [None if is_nothing(value) or str(value) == "" else value for value in values]
        first = [column[place] for place in first_rows]
        rows = np.flatnonzero(keep).tolist()
        if len(first_rows) == len(rows) or all(str(column[row]) == str(first[run_of_row[row]]) for row in rows):
            found[name] = _objects(first)
        else:
            dropped.append(name)
    if dropped:
        notices.append(f"Left out, as they differ between the lines of a run: {', '.join(dropped)}.")
    return found


def _order(fields, hyper):
    names = ("study", "dataset", "method", "strength", "seed", "run_id")
    keys = {"dataset": dataset_order, "method": method_order, "strength": value_order}
    columns = [[keys.get(name, _same)(value) for value in fields[name].tolist()] for name in names]
    between = [[value_order(value) for value in values.tolist()] for values in hyper.values()]
    rows = list(zip(*columns[:4], *between, *columns[4:], strict=True))
    return sorted(range(len(rows)), key=rows.__getitem__)


def _same(value):
    return value


def _on_values_of(table):
    fields = {name: getattr(table, name) for name in FIELDS}
    return _on_values(table.metrics, table.roles, 0, 0, fields, table.hyper_parameters, table.values)


def _on_values(names, own_roles, non_finite, beyond, fields, hyper, values):
    notices = []
    if non_finite:
        more = f", or beyond ±{LARGEST:g} ({beyond})" if beyond else ""
        notices.append(f"{non_finite} numbers are nan or infinite{more}: they count as missing.")
    there = np.isfinite(values).any(axis=0) if len(values) else np.ones(len(names), bool)
    unknown = [
        name for name, any_of in zip(names, there, strict=True) if any_of and not roles.role_of(name, own_roles).known
    ]
    if unknown:
        notices.append(
            f"Unknown metrics, taken for scores of which higher is better: {_shortened(unknown)}. "
            "Say otherwise with columns={'metrics': [...], 'hp': [...]} or register_metric."
        )
    if len(values):
        known = [place for place, name in enumerate(names) if _is_share(roles.role_of(name, own_roles))]
        high = [(names[at], np.nanmax(values[:, at])) for at in known if (values[:, at] > HIGHEST_SCORE).any()]
        if high:
            told = ", ".join(f"{name} (up to {top:.4g})" for name, top in high)
            notices.append(f"Scores above 1: {told}. Are they per cent? Gaps to 1 are of scores in 0..1.")
    not_ok = int((fields["status"] != OK).sum())
    if not_ok:
        notices.append(f"{not_ok} of {len(values)} runs are not ok: they are in no analysis.")
    notices += _told_twice(fields, hyper)
    silent = int(((fields["status"] == OK) & ~np.isfinite(values).any(axis=1)).sum()) if values.size else 0
    if silent:
        notices.append(f"{silent} runs are ok, but have no number.")
    return notices


def _is_share(role):
    return role.known and role.role == "score"


def _shortened(names, most=20):
    return ", ".join(f"{name:.60}" for name in names[:most]) + (
        f" and {len(names) - most} more" if len(names) > most else ""
    )


def _told_twice(fields, hyper):
    """A notice on runs that only their run_id tells apart, which analyses that pair runs by seed cannot take."""
    names = ("study", "dataset", "method", "strength", "seed")
    columns = [fields[name][fields["status"] == OK].tolist() for name in names]
    columns += [values[fields["status"] == OK].tolist() for values in hyper.values()]
    keys = list(zip(*columns, strict=True))
    if len(set(keys)) == len(keys):
        return []
    twice = next(key for key, count in Counter(keys).items() if count > 1)
    told = {name: [value] for name, value in zip(names, twice[: len(names)], strict=True)}
    return [
        f"{len(keys) - len(set(keys))} runs have the same settings and seed as another ({_told(told, 0)}): what pairs "
        "runs by seed is not possible with them. If they are copies, leave one out."
    ]


def _objects(values):
    column = np.empty(len(values), object)
    column[:] = values
    return column
