"""What rows came to: one file in each row's folder, one table for all."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from kerasvae import files
from kerasvae.tuning.checks import check_results
from kerasvae.tuning.rows import row_name

RESULT, ERROR, RESULTS = "result.json", "error.txt", "results.csv"


def row_folder(folder, row: dict) -> Path:
    """Where a row of the study in `folder` lives."""
    return Path(folder) / "rows" / row_name(row)


def stored_result(folder, row: dict) -> dict | None:
    """A finished row's result, {"row", "metrics", "seconds"}; None where there is none, or its file is damaged."""
    try:
        result = files.read_json(row_folder(folder, row) / RESULT)
        same = row_name(result["row"]) == row_name(row)
        numbers = [*result["metrics"].values(), result["seconds"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return result if same and all(isinstance(number, int | float) for number in numbers) else None


def collect(folder, rows: list[dict]) -> list[dict]:
    """The rows of the study in `folder` that have finished or failed, in the order of `rows`.

    Each is a dictionary: the row's fields, its metrics, `status` ("COMPLETED" or "FAILED") and `seconds` (of the run
    that finished it; None for a failed row). A row whose result is damaged is left out: it is done again.
    """
    collected = []
    for row in rows:
        if result := stored_result(folder, row):
            collected.append({**row, **result["metrics"], "status": "COMPLETED", "seconds": result["seconds"]})
        elif (row_folder(folder, row) / ERROR).is_file():
            collected.append({**row, "status": "FAILED", "seconds": None})
    return collected


def write_results(path, results: list[dict]) -> None:
    """Results as a CSV file: fields and metrics, then `status` and `seconds`; the file appears whole or not at all."""
    last = ("status", "seconds")
    columns = [name for result in results for name in result if name not in last]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*dict.fromkeys(columns), *last], lineterminator="\n")
    writer.writeheader()
    writer.writerows(results)
    files.write_text(path, text.getvalue())


def print_results(results: list[dict]) -> None:
    """Print results, or any list of dictionaries, as a table: one line a row, numbers with 4 significant digits."""
    from rich.console import Console
    from rich.table import Table

    results = check_results(results)
    table = Table()
    columns = list(dict.fromkeys(name for result in results for name in result))
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    for result in results:
        table.add_row(*(number_text(result.get(name)) for name in columns))
    Console().print(table)


def number_text(value) -> str:
    """A value for people: floats with 4 significant digits, nothing for None."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
