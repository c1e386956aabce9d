"""Runs as JSON holds them: a list, a dictionary by name, columns, what pandas writes, or one run a line."""

from __future__ import annotations

import json

from kerasvae.analysis.study.columns import SYNONYMS


def records_of(value) -> list[dict]:
    """A dictionary each run, of a list or dictionary of runs or of columns; ValueError for anything else."""
    if isinstance(value, dict) and all(isinstance(value.get(name), list) for name in ("columns", "data")):
        # As pandas writes it with orient="split".
        columns, data = value["columns"], value["data"]
        if all(isinstance(line, list) and len(line) == len(columns) for line in data):
            return [dict(zip(map(str, columns), line, strict=True)) for line in data]
    if isinstance(value, dict) and (set(value) == {"schema", "data"} or len(value) == 1):
        # The same with orient="table", or a list under a name.
        held = value["data"] if "data" in value else next(iter(value.values()))
        value = held if _are_records(held) else value
    if isinstance(value, dict) and value and all(isinstance(each, dict) for each in value.values()):
        inner = {name for each in value.values() for name in each}
        if all(str(key).isdigit() for key in value):
            return list(value.values())
        if names_fields(inner) and not names_fields(value):
            return [{"run_id": name, **run} for name, run in value.items()]
        rows = sorted(inner, key=lambda row: (len(row), row))
        return [{name: column.get(row) for name, column in value.items()} for row in rows]
    if isinstance(value, dict) and value and all(isinstance(each, list) for each in value.values()):
        lengths = {name: len(each) for name, each in value.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"source: columns must have the same length, got {lengths}")
        return [dict(zip(value, line, strict=True)) for line in zip(*value.values(), strict=True)]
    if isinstance(value, dict) and value:
        return [value]
    if value == []:
        raise ValueError("source must hold at least one run, got an empty list")
    if _are_records(value):
        return value
    raise ValueError("source: the JSON must hold a list of dictionaries, or a dictionary of columns")


def _are_records(value) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def names_fields(names) -> bool:
    """Whether some are names of a run's fields: then the dictionaries that have them are runs, not columns."""
    plain = {str(name).lower() for name in names}
    return any(plain & {field_name, *SYNONYMS.get(field_name, ())} for field_name in ("method", "seed"))


def records_of_lines(path, text, whole):
    """Runs of a text with one a line, and notices; a last line that is cut short is left out.

    Args:
        path: of the file, for errors.
        text: what is in it.
        whole: the JSONDecodeError of the text as a single value.

    Raises:
        ValueError: it is no JSON in either way.
    """
    records, notices = [], []
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        try:
            records.append(json.loads(line))
        except RecursionError:
            raise ValueError(f"source: {str(path)!r} is no table: the JSON in line {number} is too deep") from None
        except json.JSONDecodeError as error:
            if not records:
                # Not of one value a line.
                raise ValueError(
                    f"source: {str(path)!r} is no JSON (line {whole.lineno}, column {whole.colno}: {whole.msg})"
                ) from None
            if number == lines[-1][0] and not text.endswith("\n"):
                notices.append(f"Left out: the last line of {path.name}, which is cut short.")
                break
            raise ValueError(f"source: {str(path)!r} is no JSON (line {number}: {error.msg})") from None
    return records_of(records), notices
