"""Keeps a page small enough to be sent: more CSV files in zips, and where that is not enough, some of them left out."""

from __future__ import annotations

import html
import re
from urllib.parse import unquote

from kerasvae.report.blocks import paragraph, zip_link

# Bytes of a page.
LIMIT = 2_950_000
_PLAIN = re.compile(r'<p class="download"><a download="([^"]*)\.csv" href="data:text/csv[^",]*,([^"]*)">[^<]*</a></p>')
_ANY = re.compile(r'<p class="download"><a download="([^"]*\.csv)(?:\.zip)?" href="data:[^"]*">[^<]*</a></p>')


def within_limit(page: str, limit: int = LIMIT) -> str:
    """A page of at most `limit` bytes, as far as its CSV files are what makes it larger.

    Args:
        page: HTML document.
        limit: bytes in UTF-8.

    Returns:
        The page, its largest CSV files in zips instead; then, the largest first, with a note in their place.
    """
    for pattern, smaller in ((_PLAIN, _zipped), (_ANY, _left_out)):
        excess, chosen = len(page.encode()) - limit, {}
        for found in sorted(pattern.finditer(page), key=lambda found: -len(found[0])):
            if excess <= 0:
                break
            if (gain := len(found[0].encode()) - len((other := smaller(found)).encode())) > 0:
                chosen[found.start()] = other
                excess -= gain
        page = pattern.sub(lambda found, chosen=chosen: chosen.get(found.start(), found[0]), page)
    return page


def _zipped(found) -> str:
    return zip_link(found[1], unquote(html.unescape(found[2])))


def _left_out(found) -> str:
    return paragraph(f"{found[1]} is left out here, as the page would be larger than 3 MB.", "note")
