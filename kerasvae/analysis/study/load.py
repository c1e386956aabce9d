"""Anybody's results as a `ResultsTable`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kerasvae.analysis.study import published
from kerasvae.analysis.study.assembly import assemble, stack
from kerasvae.analysis.study.columns import understand
from kerasvae.analysis.study.entries import is_nothing
from kerasvae.analysis.study.formats import Source, check_names, columns_of, read_path
from kerasvae.analysis.study.frame import Frame
from kerasvae.analysis.study.json_records import names_fields
from kerasvae.analysis.study.roles import MetricRole
from kerasvae.analysis.study.table import ResultsTable


def load(source, columns=None, *, constants=None, roles=None, study=None) -> ResultsTable:
    """Results of runs, from whatever they are in.

    A long table has a line for each number, with columns `metric` and `value`; a wide one a line for each run, with a
    column for each metric. Fields of a run: study, dataset, method, strength, strength_name, seed, run_id, status (ok,
    failed, diverged, running), and any `hp.NAME`. Method and seed must be there, whatever their columns are called.

    Args:
        source: a CSV file, long or wide; a folder of `kerasvae experiment`; JSON, that of disentanglement_lib too; a
            list of dictionaries, a dictionary of lists, a pandas DataFrame, a `Frame`; "dubois2019-poster", whose table
            is of runs; or several of these, as a list, or as a dictionary that names the studies,
            {"mine": "results.csv", "theirs": other}.
        columns: {field: the table's name for it}; with "metrics" the columns that are metrics, a list or {name: the
            table's}, and with "hp" those that are hyper-parameters. What is not named is guessed, and said.
        constants: {field: one value for all runs}, of fields without a column.
        roles: {metric: MetricRole} of metrics that are not known, or are something else here.
        study: name for all runs. Default: the table's column, or "".

    Returns:
        ResultsTable. `kerasvae.analysis.study.describe(table)` says what was understood.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: what cannot be understood, and what to do about it; a number that comes twice for a run.
        TypeError: a source of another kind.

    Example:
        >>> load([{"model": "beta_vae", "beta": beta, "seed": 1, "mig": beta / 10} for beta in (1, 4)])
        <ResultsTable: 2 runs (2 ok), 1 data sets, 2 settings, 1 metrics>
    """
    roles = dict(roles or {})
    for metric, role in roles.items():
        if not isinstance(role, MetricRole):
            raise TypeError(f"roles[{metric!r}] must be a MetricRole, got {role!r}")
    if isinstance(source, ResultsTable):
        return source if study is None else load(source.to_wide(), roles={**source.roles, **roles}, study=study)
    options = {"columns": columns, "constants": constants, "roles": roles}
    if isinstance(source, Mapping) and source and not _is_columns(source):
        if names_fields(source) and not any(isinstance(each, Mapping | os.PathLike) for each in source.values()):
            name, value = next(pair for pair in source.items() if not _is_column(pair[1]))
            raise ValueError(
                "source: a dictionary must hold a list for each column, or a table for each study, got "
                f"{name}={value!r:.40}; a single run goes into a list, [run]"
            )
        return stack(_part(f"study {name!r}", each, study=str(name), **options) for name, each in source.items())
    if isinstance(source, list | tuple) and source and not all(isinstance(each, Mapping) for each in source):
        return stack(_part(f"source[{place}]", each, study=study, **options) for place, each in enumerate(source))
    found = _read(source)
    columns = {**found.mapping, **(columns or {})}
    constants = {**found.constants, **(constants or {})}
    if study is not None:
        found.columns = {
            name: values for name, values in found.columns.items() if name != columns.get("study", "study")
        }
        columns.pop("study", None)
        constants["study"] = study
    lines = understand(found.columns, columns, constants, roles)
    lines.notices[:0] = found.notices
    return assemble(lines)


def _part(name, source, **options) -> ResultsTable:
    """One of several tables; what is wrong with it is said with its name."""
    try:
        table = load(source, **options)
        return table if len(table) else table._with(notices=(f"{name} holds no runs.",))
    except (ValueError, TypeError, OSError) as error:
        kind = next(each for each in (FileNotFoundError, OSError, TypeError, ValueError) if isinstance(error, each))
        raise kind(f"{name}: {error}") from error


def _read(source) -> Source:
    if isinstance(source, str) and source in published.STUDIES:
        return Source(published.runs_of(source))
    if isinstance(source, str | os.PathLike):
        return read_path(source)
    if isinstance(source, Frame):
        return Source({name: source[name].tolist() for name in source.columns})
    if isinstance(source, Mapping):
        check_names(source)
        columns = {str(name): list(values) for name, values in source.items()}
    elif hasattr(source, "columns") and hasattr(source, "to_dict"):
        if any(name is not None for name in getattr(getattr(source, "index", None), "names", ())):
            source = source.reset_index()
        check_names(source.columns)
        # A pandas DataFrame, where nan is nothing.
        columns = {
            str(name): [None if is_nothing(value) else value for value in values]
            for name, values in source.to_dict("list").items()
        }
    elif isinstance(source, list | tuple):
        if not source:
            raise ValueError("source must hold at least one run, got an empty list")
        columns = columns_of(source)
    else:
        raise TypeError(
            "source must be a path, a list of dictionaries, a dictionary of lists or a data frame, got "
            f"{type(source).__name__}"
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"source: columns must have the same length, got {lengths}")
    if not columns:
        raise ValueError("source must have columns, got none")
    return Source({name: [_item(value) for value in values] for name, values in columns.items()})


def _is_columns(source) -> bool:
    """Whether a dictionary is of columns, not of studies."""
    return all(_is_column(values) for values in source.values())


def _is_column(values) -> bool:
    if isinstance(values, str | os.PathLike | Mapping | ResultsTable | Frame) or hasattr(values, "columns"):
        return False
    return hasattr(values, "__len__") and not any(isinstance(value, Mapping) for value in values)


def _item(value):
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
