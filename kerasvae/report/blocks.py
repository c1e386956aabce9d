"""Pieces of a page: paragraphs, lists, figures with captions, tables with their CSV to download. Text is escaped."""

from __future__ import annotations

import base64
import html
import io
import re
import zipfile
from urllib.parse import quote

from kerasvae.analysis.study.frame import Frame, hundredfold, is_missing
from kerasvae.report.svg import svg_of

# Rows of a table on the page; its CSV has them all.
SHOWN_ROWS = 40
# Rows of tables that the page holds as CSV, and their significant digits: a page of megabytes is sent to nobody.
MOST_ROWS, DIGITS = 4000, 7
# Letters of a CSV file above which it is in a zip.
MOST_PLAIN = 60_000
# Pixels across up to which three or two panels stand beside each other on paper.
SMALL, MEDIUM = 330, 540
# What need not be escaped in a data URI within an attribute.
_SAFE = ",.-_~:;/+()@*!'$=?[]|"


def text(words) -> str:
    """Text with what HTML takes for its own escaped."""
    return html.escape(str(words))


def paragraph(words, kind="") -> str:
    return f"<p{_kind(kind)}>{text(words)}</p>" if str(words) else ""


def sentences(lines, shown=3, more="more of them") -> str:
    """A list of sentences; those after the first `shown` behind a line that opens."""
    lines = list(dict.fromkeys(line for line in lines if line))
    if not lines:
        return ""

    def listed(part):
        return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in part) + "</ul>"

    if len(lines) <= shown + 1:
        return listed(lines)
    summary = f"{len(lines) - shown} {more}"
    hidden = f"<details><summary>{text(summary)}</summary>{listed(lines[shown:])}</details>"
    return (listed(lines[:shown]) if shown else "") + hidden


def notes(lines) -> str:
    """What was left out and why, in small print."""
    lines = list(dict.fromkeys(line for line in lines if line))
    return "".join(paragraph(line, "note") for line in lines)


def figure(material, claim, drawn, *, caption="", methods=(), colours=None) -> str:
    """A figure of one panel or several, which stand beside each other where there is room.

    Args:
        material: counts the figures of the page.
        claim: a line above: what is to be seen.
        drawn: list of (Matplotlib figure, what it shows in words).
        caption: below: n, and how to read it.
        methods: of the legend, in the page's colours of methods.
        colours: {name: colour} of the legend, where it is of something else.
    """
    drawn = list(drawn)
    if not drawn:
        return ""
    parts = []
    for each, alt in drawn:
        material.figures += 1
        across = 96 * each.get_figwidth()
        size = "small" if across <= SMALL else "medium" if across <= MEDIUM else "wide"
        parts.append(f'<div class="panel {size}">{svg_of(each, alt, material.figures)}</div>')
    colours = colours or {method: material.colours[str(method)] for method in methods}
    return (
        f'<figure><h4>{text(claim)}</h4>{legend(colours, material.labels)}<div class="panels">{"".join(parts)}</div>'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def legend(colours, labels) -> str:
    """What each colour stands for, as a list."""
    if not colours:
        return ""
    entries = "".join(
        f'<li><span class="dot" style="background:{colour}"></span>{text(labels.get(name, name))}</li>'
        for name, colour in colours.items()
    )
    return f'<ul class="legend">{entries}</ul>'


def frame_table(frame: Frame, limit: int | None = SHOWN_ROWS, labels=None) -> str:
    """A table as it prints, the first `limit` rows of it."""
    shown = [name for name in frame.shown if name != "study" or any(frame[name].tolist())]
    numeric = {name: frame[name].dtype.kind in "iuf" for name in shown}
    head = "".join(f'<th scope="col"{_side(numeric[name])}>{text(_heading(name))}</th>' for name in shown)
    lines = []
    for row in frame.where(slice(limit)).rows():
        cells = [(labels or {}).get(row[name]) if isinstance(row[name], str) else None for name in shown]
        cells = [frame.cell(name, row[name]) if cell is None else cell for name, cell in zip(shown, cells, strict=True)]
        lines.append("".join(f"<td{_side(numeric[n])}>{text(c)}</td>" for n, c in zip(shown, cells, strict=True)))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    caption = f"<caption>{text(frame.title)}</caption>" if frame.title else ""
    return f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def table(material, name: str, frame: Frame, *, open_=False, limit: int | None = SHOWN_ROWS) -> str:
    """A table behind a line that opens, with its CSV to download; nothing of a table without rows.

    Args:
        material: keeps the names of all tables of the page, which become file names.
        name: of the CSV file, without ".csv".
        frame: the table.
        open_: whether it is shown at once.
        limit: rows on the page. Default 40; None: all.
    """
    if not len(frame):
        return ""
    material.embedded[name] = frame
    title, more = frame.title or name, ""
    link = download(name, frame)
    if len(frame) > MOST_ROWS:
        link = paragraph(
            f"{len(frame)} rows, a run each, are left to the results themselves: no CSV file here.", "note"
        )
    if limit is not None and len(frame) > limit:
        more = paragraph(f"The first {limit} of {len(frame)} rows.", "note")
    return (
        f'<details id="{table_id(name)}"{" open" if open_ else ""}><summary>Table: {text(title)} '
        f'<span class="quiet">({len(frame)} rows)</span></summary>{link}'
        f"{frame_table(_untitled(frame), limit, material.labels)}{more}{notes(frame.notices)}</details>"
    )


def tables(material, prefix: str, analysis, skip=()) -> str:
    """All tables of an analysis, each behind its line."""
    found = [
        table(material, f"{prefix}-{name}".replace("_", "-"), frame)
        for name, frame in analysis.items()
        if name not in skip
    ]
    found = [each for each in found if each]
    if len(found) < 2:
        return "".join(found)
    return f"<details><summary>{len(found)} tables</summary>{''.join(found)}</details>"


def download(name: str, frame: Frame) -> str:
    """A link that holds the CSV itself, its numbers to 7 significant digits; large ones in a zip."""
    columns = {name: frame[name] for name in frame.columns}
    rounded = {
        name: [float(f"{value:.{DIGITS}g}") for value in values.tolist()] if values.dtype.kind == "f" else values
        for name, values in columns.items()
    }
    csv = Frame(rounded).to_csv()
    return zip_link(name, csv) if len(csv) > MOST_PLAIN else csv_link(name, csv)


def csv_link(name: str, csv: str) -> str:
    """A link that holds `name`.csv."""
    return _link(f"{name}.csv", f"data:text/csv;charset=utf-8,{quote(csv, safe=_SAFE)}")


def zip_link(name: str, csv: str) -> str:
    """A link that holds a zip with `name`.csv."""
    return _link(f"{name}.csv.zip", f"data:application/zip;base64,{_zipped(f'{name}.csv', csv)}")


def _link(name, address):
    return f'<p class="download"><a download="{name}" href="{html.escape(address)}">{name}</a></p>'


def _zipped(name, words) -> str:
    """A file within a zip, in base64; the same words give the same."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        # Its default date is that of today.
        file.writestr(zipfile.ZipInfo(name), words, zipfile.ZIP_DEFLATED, 9)
    return base64.b64encode(buffer.getvalue()).decode()


def table_id(name: str) -> str:
    return "table-" + re.sub(r"[^a-z0-9-]", "-", name.lower())


def interval(row, scale=100, form=".0f", unit="") -> str:
    """An estimate with its interval: "62 % [55, 70]"; of a missing one a dash."""
    if is_missing(row.get("estimate")):
        return "–"
    told = f"{_plain(scale * row['estimate'], form)}{unit}"
    if is_missing(row.get("lo")) or is_missing(row.get("hi")):
        return told
    return f"{told} [{_plain(scale * row['lo'], form)}, {_plain(scale * row['hi'], form)}]"


def counts(numbers, what="runs") -> str:
    """ "n = 90 runs", or "n = 12 to 30 runs" where it varies; nothing of nothing."""
    numbers = [int(number) for number in numbers if not is_missing(number)]
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    return f"n = {low} {what}" if low == high else f"n = {low} to {high} {what}"


def per_cent(value) -> str:
    return f"{hundredfold(value)} %"


def spread(values, form=hundredfold) -> str:
    """ "-6 to 84" of those that are there."""
    values = [value for value in values if not is_missing(value)]
    if not values:
        return "undefined throughout"
    return f"{form(min(values))} to {form(max(values))}"


def _plain(value, form):
    told = format(value, form)
    return told[1:] if told.startswith("-") and not told.strip("-0.") else told


def _untitled(frame):
    return Frame(
        {name: frame[name] for name in frame.columns}, formats=frame.formats, shown=frame.shown, notices=frame.notices
    )


def _heading(name):
    return name.replace("_", " ")


def _side(numeric):
    return ' class="n"' if numeric else ""


def _kind(kind):
    return f' class="{kind}"' if kind else ""
