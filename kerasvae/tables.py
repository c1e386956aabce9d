"""Tables of results as text and as HTML."""

from __future__ import annotations

import html

from rich.console import Console
from rich.table import Table


def as_text(title: str, header, rows, note: str = "") -> str:
    """A table with a title above and a note below; first column to the left, the others to the right."""
    table = Table()
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # Wide enough for any table: where the text is shown is not known here.
    console = Console(width=160, color_system=None, force_terminal=False, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join([title, *capture.get().splitlines(), *note.splitlines()])


def as_html(title: str, header, rows, note: str = "") -> str:
    """The same table for a notebook."""

    def line(cells, tag):
        sides = ("left", *("right",) * (len(cells) - 1))
        return "".join(
            f'<{tag} style="text-align:{side}">{html.escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return (
        f"<table><caption>{html.escape(title)}</caption><thead><tr>{line(header, 'th')}</tr></thead>"
        f"<tbody>{body}</tbody></table>" + (f"<p>{html.escape(note)}</p>" if note else "")
    )
