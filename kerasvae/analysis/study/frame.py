"""Small tables of results that print, travel as CSV, and show in notebooks; and several of them as one analysis."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from kerasvae import files, tables
from kerasvae.extras import require

# What stands for a number that is missing or undefined.
DASH = "–"
# Rows that are printed; a CSV file has them all.
PRINTED = 60


class Frame:
    """A tidy table: named columns of equal length, in order.

    Args:
        columns: {name: values}, values a list or array (rows,). Numbers become float64 or int64 arrays, anything else
            an array of objects. nan and None are missing.
        title: a line above the printed table. Default: none.
        notices: sentences below it: what was left out and why. Default: none.
        formats: {column: function of a value that returns a str, or a format specification such as ".2f"}, for
            printing alone. Default: 4 significant digits.
        shown: names of the columns that are printed. Default: all.

    Raises:
        ValueError: columns of different lengths, or a name in `formats` or `shown` that is no column.

    Example:
        >>> frame = Frame({"metric": ["mig", "sap"], "estimate": [0.25, float("nan")]})
        >>> frame.select(metric="mig")["estimate"].tolist(), len(frame)
        ([0.25], 2)
    """

    def __init__(self, columns, *, title="", notices=(), formats=None, shown=None):
        self._columns = {str(name): _as_column(values, name) for name, values in dict(columns).items()}
        lengths = {name: len(values) for name, values in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must have the same length, got {lengths}")
        self.title, self.notices = title, [str(notice) for notice in notices]
        self.formats = {name: form for name, form in (formats or {}).items()}
        self.shown = list(self._columns) if shown is None else list(shown)
        for argument, names in (("formats", self.formats), ("shown", self.shown)):
            unknown = [name for name in names if name not in self._columns]
            if unknown:
                raise ValueError(f"{argument} must name columns, got {unknown}: there are {list(self._columns)}")

    @classmethod
    def from_rows(cls, rows, columns=None, **options):
        """A frame of dictionaries, one a row; what a row has not got is missing.

        Args:
            rows: list of dictionaries.
            columns: names, in order. Default: those of the rows as they come. Needed where there may be no rows.
            **options: of `Frame`.
        """
        rows = list(rows)
        names = list(dict.fromkeys(name for row in rows for name in row)) if columns is None else list(columns)
        return cls({name: [row.get(name) for row in rows] for name in names}, **options)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    def __len__(self):
        return len(next(iter(self._columns.values()), ()))

    def __getitem__(self, name):
        """A column, (rows,)."""
        if name not in self._columns:
            raise KeyError(f"no column {name!r}: there are {', '.join(map(repr, self._columns))}")
        return self._columns[name]

    def __contains__(self, name):
        return name in self._columns

    def __iter__(self):
        """The rows as dictionaries of plain Python values."""
        return iter(self.rows())

    def rows(self) -> list[dict]:
        """The rows as dictionaries of plain Python values."""
        lists = [values.tolist() for values in self._columns.values()]
        return [dict(zip(self._columns, row, strict=True)) for row in zip(*lists, strict=True)]

    def row(self, **equal) -> dict:
        """The one row with these values; KeyError where there is none or more than one."""
        found = self.select(**equal).rows()
        if len(found) != 1:
            raise KeyError(f"{len(found)} rows have {equal}, not one")
        return found[0]

    def where(self, mask) -> Frame:
        """The rows of a mask, bool (rows,), of indices or of a slice."""
        mask = mask if isinstance(mask, slice) else np.asarray(mask)
        return Frame(
            {name: values[mask] for name, values in self._columns.items()},
            title=self.title,
            notices=self.notices,
            formats=self.formats,
            shown=self.shown,
        )

    def select(self, **equal) -> Frame:
        """The rows whose columns have the given value, or one of a list, tuple or set of values."""
        mask = np.ones(len(self), bool)
        for name, wanted in equal.items():
            choices = list(wanted) if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
            mask &= np.fromiter((value in choices for value in self[name].tolist()), bool, len(self))
        return self.where(mask)

    def matrix(self, row, column, value="estimate"):
        """A column laid out by two others.

        Args:
            row, column: names of the columns whose values label rows and columns, each pair of them at most once.
            value: name of the column that is laid out. Default "estimate".

        Returns:
            list of the labels of rows, list of those of columns, in order of appearance, and a float64 array (rows,
            columns), nan where there is no such row.

        Raises:
            ValueError: a pair of labels comes twice.
        """
        down, across = list(dict.fromkeys(self[row].tolist())), list(dict.fromkeys(self[column].tolist()))
        array, seen = np.full((len(down), len(across)), np.nan), set()
        places = {label: number for number, label in enumerate(down)}, {label: n for n, label in enumerate(across)}
        for first, second, number in zip(self[row].tolist(), self[column].tolist(), self[value].tolist(), strict=True):
            if (first, second) in seen:
                raise ValueError(f"{row} {first!r} and {column} {second!r} come twice: select the rows first")
            seen.add((first, second))
            array[places[0][first], places[1][second]] = np.nan if number is None else number
        return down, across, array

    def pivot(self, row, column, value="estimate") -> Frame:
        """`matrix` as a frame for reading: a column of the rows' labels, then one for each of the columns'."""
        down, across, array = self.matrix(row, column, value)
        names = [str(label) for label in across]
        form = self.formats.get(value)
        return Frame(
            {row: down, **dict(zip(names, array.T, strict=True))},
            title=self.title,
            notices=self.notices,
            formats=dict.fromkeys(names, form) if form else None,
        )

    def to_csv(self, path=None):
        """The table as CSV: numbers with all their digits, missing ones empty.

        Args:
            path: the file, which appears whole or not at all. Default None: return the text.

        Returns:
            The text, or the path.

        Raises:
            OSError: when it cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self._columns)
        writer.writerows(["" if is_missing(value) else value for value in row.values()] for row in self.rows())
        if path is None:
            return text.getvalue()
        files.write_text(path, text.getvalue())
        return Path(path)

    def to_pandas(self):
        """The table as a pandas DataFrame; ImportError where pandas is not installed."""
        require("to_pandas", ["pandas"])
        import pandas

        return pandas.DataFrame(self._columns)

    def cell(self, name, value) -> str:
        """A value as it is printed; a dash for a missing one."""
        if is_missing(value):
            return DASH
        form = self.formats.get(name)
        if callable(form):
            return form(value)
        if form is not None:
            return format(value, form)
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    def table(self, limit=PRINTED):
        """Title, header, rows of text and note, as `kerasvae.tables` takes them."""
        rows = [[self.cell(name, row[name]) for name in self.shown] for row in self.where(slice(limit)).rows()]
        more = [] if limit is None or len(self) <= limit else [f"{len(self) - limit} more rows: see to_csv()."]
        return self.title, self.shown, rows, "\n".join([*more, *self.notices])

    def __str__(self):
        title, header, rows, note = self.table()
        table = Table(
            *(Column(name, justify=side, no_wrap=True) for name, side in zip(header, self._sides(), strict=True))
        )
        for row in rows:
            table.add_row(*row)
        # As wide as the table is: what is cut off cannot be read.
        console = Console(width=100_000, color_system=None, force_terminal=False, markup=False, highlight=False)
        with console.capture() as capture:
            console.print(table)
        return "\n".join([*filter(None, [title]), *capture.get().splitlines(), *note.splitlines()])

    def _sides(self):
        """Numbers to the right, text to the left."""
        return ["right" if self[name].dtype.kind in "iuf" else "left" for name in self.shown]

    def _repr_html_(self):
        return tables.as_html(*self.table())

    def __repr__(self):
        return f"<Frame: {self.title or 'no title'}: {len(self)} rows, columns {', '.join(self._columns)}>"


class Analysis(Mapping):
    """The frames of one analysis by name, with what they say in words.

    Args:
        title: a line.
        frames: {name: Frame}.
        sentences: findings, generated from the numbers. Default: none.
        notices: what was left out and why, what to be careful with. Default: none.
    """

    def __init__(self, title, frames, *, sentences=(), notices=()):
        self.title, self._frames = title, dict(frames)
        self.sentences, self.notices = list(sentences), list(dict.fromkeys(notices))

    def __getitem__(self, name):
        if name not in self._frames:
            raise KeyError(f"no frame {name!r}: there are {', '.join(map(repr, self._frames))}")
        return self._frames[name]

    def __iter__(self):
        return iter(self._frames)

    def __len__(self):
        return len(self._frames)

    def __str__(self):
        return "\n\n".join(filter(None, [self.title, "\n".join(self.sentences), *map(str, self.values())])) + (
            "\n" + "\n".join(self.notices) if self.notices else ""
        )

    def _repr_html_(self):
        def paragraphs(lines):
            return "".join(f"<p>{html.escape(line)}</p>" for line in lines)

        parts = [f"<h3>{html.escape(self.title)}</h3>", paragraphs(self.sentences)]
        parts += [frame._repr_html_() for frame in self.values()]
        return "".join([*parts, paragraphs(self.notices)])

    def __repr__(self):
        return f"<Analysis: {self.title}: {', '.join(f'{name} ({len(frame)})' for name, frame in self.items())}>"


def hundredfold(value) -> str:
    """A correlation or share as it is printed: times 100, rounded, never -0."""
    return f"{round(100 * value):d}"


def is_missing(value) -> bool:
    """Whether a value is None or nan."""
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _as_column(values, name):
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufO":
        column = values
    else:
        values = list(values)
        numeric = all(value is None or (isinstance(value, Real) and not _is_bool(value)) for value in values)
        if values and numeric and any(value is not None for value in values):
            whole = all(isinstance(value, Integral) for value in values)
            column = np.array([np.nan if v is None else v for v in values], np.int64 if whole else np.float64)
        elif values and all(_is_bool(value) for value in values):
            column = np.array(values, bool)
        else:
            column = np.empty(len(values), object)
            column[:] = [value.item() if isinstance(value, np.generic) else value for value in values]
    if column.ndim != 1:
        raise ValueError(f"column {name!r} must be one-dimensional, got shape {column.shape}")
    return column.astype(np.float64) if column.dtype.kind == "f" else column


def _is_bool(value):
    return isinstance(value, bool | np.bool_)
