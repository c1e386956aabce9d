"""The text of files as people have them: in other encodings, compressed, or cut short in the last line."""

from __future__ import annotations

import csv
import io
import re

from kerasvae.archives import inflated

_GZIP = b"\x1f\x8b"
# How files begin that are tables, but no text.
_BINARY = {
    b"PK\x03\x04": "a spreadsheet or zip file",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_ENDS = ("\n", "\r")
_SEPARATORS = ",;\t|"
_WITH_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+|\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")


def read_text(path) -> tuple[str, list[str]]:
    """What a text file says, and what is to be said of it.

    UTF-8, with its mark or without; UTF-16 with its mark, as spreadsheets write it; else Windows-1252. A file that
    begins as one of gzip is decompressed, whatever its name.

    Raises:
        ValueError: a gzip file that is damaged or inflates to more than text can, or no text.
        OSError: it cannot be read.
    """
    data, notices = path.read_bytes(), []
    if data.startswith(_GZIP):
        try:
            data = inflated(data)
        except ValueError as error:
            raise ValueError(f"source: {str(path)!r} is compressed, and {error}") from None
    for start, what in _BINARY.items():
        if data.startswith(start):
            raise ValueError(f"source: {str(path)!r} is {what}, no text: save the table as CSV or JSON")
    if data.startswith(_UTF16):
        return data.decode("utf-16", errors="replace").removeprefix("\ufeff"), notices
    if data.endswith(b"\0"):
        # What a machine that went down may leave at the end of a file.
        data = data.rstrip(b"\0")
        notices.append(f"Left out: the zero bytes at the end of {path.name}.")
    if b"\0" in data:
        raise ValueError(
            f"source: {str(path)!r} is no text: it holds zero bytes. Save the table as CSV or JSON in UTF-8"
        )
    try:
        return data.decode("utf-8-sig"), notices
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            notices.append(f"{path.name} ends within a letter.")
            return data[: error.start].decode("utf-8-sig"), notices
    notices.append(f"{path.name} is not in UTF-8: it was read as Windows-1252 (Latin-1).")
    return data.decode("cp1252", errors="replace"), notices


def read_table(path) -> tuple[list[str], list[tuple[int, list[str]]], list[str]]:
    """Header, rows with the line of the file that they begin in, and notices of a file of separated values.

    Columns are separated by commas, semicolons, tabs or bars: by what the header has most of, or by what a first line
    `sep=;` says. Rows without any entry are left out, and so is a last line that is cut short. Between semicolons or
    tabs, numbers may have decimal commas.

    Raises:
        ValueError: an empty file, a quote that is not closed, or a line of another number of fields than the header.
    """
    text, notices = read_text(path)
    named = re.match(r"sep=(.)\r?\n", text)
    start = text[named.end() :] if named else text
    header_line = re.split(r"[\r\n]", start.lstrip("\r\n"), maxsplit=1)[0]
    separator = named[1] if named else max(_SEPARATORS, key=header_line.count)
    rows, cut = _rows(path, start, separator, 1 + bool(named)), not text.endswith(_ENDS)
    if not rows:
        raise ValueError(f"source: {str(path)!r} is empty")
    header, body = [field.strip() for field in rows[0][1]], rows[1:]
    if body and cut and len(body[-1][1]) < len(header):
        body = body[:-1]
        notices.append(f"Left out: the last line of {path.name}, which is cut short.")
    elif body and cut:
        notices.append(f"The last line of {path.name} has no end: its last number may be cut short.")
    empty = [row for _, row in body if len(row) > 1 and not any(field.strip() for field in row)]
    if empty:
        body = [(line, row) for line, row in body if len(row) == 1 or any(field.strip() for field in row)]
        notices.append(f"Left out: {len(empty)} lines of {path.name} without any entry.")
    for line, row in body:
        if len(row) != len(header):
            raise ValueError(
                f"source: line {line} of {str(path)!r} has {len(row)} fields, the header {len(header)}: {row[:4]}"
            )
    if separator in ";\t":
        notices += _with_points(header, body, thousands=separator == "\t")
    return header, body, notices


def _rows(path, text, separator, first):
    """Rows and the lines they begin in, `first` the first; a quote may stay open in the last line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found, line = [], first
    try:
        for row in reader:
            if row:
                found.append((line, row))
            line = reader.line_num + first
    except csv.Error as error:
        left = text.splitlines()[line - first :]
        if "unexpected end of data" not in str(error):
            raise ValueError(f"source: line {line} of {str(path)!r} is no CSV: {error}") from None
        if len(left) > 1 or text.endswith(_ENDS) or not found:
            raise ValueError(f"source: line {line} of {str(path)!r} opens a quote that is not closed") from None
        found.append((line, []))
    return found


def _with_points(header, body, thousands):
    """Make decimal commas points, in columns all of whose entries with a comma are numbers; what was done, in words."""
    changed = []
    for place, name in enumerate(header):
        entries = [row[place].strip() for _, row in body]
        commas = [entry for entry in entries if "," in entry]
        if not commas or not all(map(_WITH_COMMA.fullmatch, commas)) or any("." in entry for entry in entries):
            continue
        if thousands and all(map(_THOUSANDS.fullmatch, commas)):
            continue
        for _, row in body:
            row[place] = row[place].replace(",", ".")
        changed.append(name)
    return [f"Commas were taken for decimal points: {', '.join(changed)}."] if changed else []
