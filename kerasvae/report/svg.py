"""Figures as part of a page: SVG whose text is text and whose black and grey follow the page, light or dark."""

from __future__ import annotations

import base64
import html
import io
import re
import warnings

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from PIL import Image

from kerasvae.plots.style import GREY, GRID, QUIET, TEXT

# Colours of a figure that are the page's; those of the data stay as they are.
THEME = {TEXT: "--text", "#000000": "--text", QUIET: "--quiet", GREY: "--grey", GRID: "--line"}
_COLOUR = re.compile("|".join(re.escape(colour) for colour in THEME))
_ATTRIBUTE = re.compile(r'\b(d|points|transform|x|y|width|height|viewBox)="([^"]*)"')
_REFERENCE = re.compile(r'(\bid="|url\(#|href="#)([^")]*)')
_NUMBER = re.compile(r"(-?\d*\.\d\d?)\d*")
_FONT = re.compile(r"font(?:-family)?: ([^;\"]*?)'DejaVu Sans'[^;\"]*;? ?")
_PICTURE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
_OPTIONS = {"svg.fonttype": "none", "svg.hashsalt": "kerasvae", "path.simplify": True}


def svg_of(figure, alt: str, number: int) -> str:
    """A Matplotlib figure as an SVG element.

    Args:
        figure: a `matplotlib.figure.Figure`.
        alt: what it shows, for those who do not see it.
        number: different for every figure of a page, whose identifiers must be.
    """
    buffer = io.StringIO()
    for part in (figure, *figure.axes):
        part.patch.set_visible(False)
    with warnings.catch_warnings():
        # The text stays text, which the browser has the letters for.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        if len(figure.axes) == 1 and not figure.legends and figure.get_suptitle() == figure.get_supxlabel() == "":
            _fill(figure, figure.axes[0])
        # The only way to tell Matplotlib's SVG writer anything; restored at once.
        with matplotlib.rc_context(_OPTIONS):
            FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = _PICTURE.sub(_fewer_colours, buffer.getvalue())
    text = text[text.index("<svg") :]
    opening, text = text.split(">", 1)
    width, height = (float(each) for each in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', opening).groups())
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(
        r' id="(?:figure|axes|patch|text|line2d|matplotlib|xtick|ytick|legend|[A-Z]\w*Collection)[\w.]*"', "", text
    )
    names = {name: f"f{number}-{place}" for place, name in enumerate(re.findall(r'\bid="([^"]*)"', text))}
    text = _REFERENCE.sub(lambda found: found[1] + names[found[2]], text).replace("xlink:href", "href")
    text = _ATTRIBUTE.sub(lambda found: f'{found[1]}="{_NUMBER.sub(_short, found[2])}"', text)
    text = re.sub(r'\bd="[^"]*"', _path, text)
    text = re.sub(r' transform="rotate\(-?0 [^"]*"', "", text)
    text = _FONT.sub(_font, text)
    text = _COLOUR.sub(lambda found: f"var({THEME[found[0]]})", text)
    text = re.sub(r"\s*\n\s*", "", text)
    for _ in range(4):
        text = re.sub(r"<(g|defs)></\1>|<g/>|<defs/>", "", text)
    text = _without_bare_groups(text)
    # A point of the figure is 4/3 pixels of the page: its text is as large as it was meant.
    across = width * 4 / 3
    size = f"width:{across:.0f}px;min-width:{min(across, max(280, 0.72 * across)):.0f}px"
    return (
        f'<svg class="plot" role="img" aria-label="{html.escape(alt)}" viewBox="0 0 {width:g} {height:g}" '
        f'style="{size}">{text.strip()}'
    )


def _fewer_colours(found) -> str:
    """A picture within a figure, many points say, in a palette: a third of its size."""
    buffer, picture = io.BytesIO(), Image.open(io.BytesIO(base64.b64decode(found[1])))
    picture.quantize(128, method=Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _fill(figure, axes, edge: float = 0.04) -> None:
    """One panel over the whole figure, its labels within `edge` inches; the layout engine takes twice as long."""
    figure.set_layout_engine("none")
    axes.set_position((0.2, 0.2, 0.6, 0.6))
    renderer = FigureCanvasAgg(figure).get_renderer()
    outer, inner, whole = axes.get_tightbbox(renderer), axes.get_window_extent(renderer), figure.bbox
    edge *= figure.dpi
    left, bottom = inner.x0 - outer.x0 + edge, inner.y0 - outer.y0 + edge
    width = whole.width - left - (outer.x1 - inner.x1) - edge
    height = whole.height - bottom - (outer.y1 - inner.y1) - edge
    if width > 0.2 * whole.width and height > 0.2 * whole.height:
        axes.set_position((left / whole.width, bottom / whole.height, width / whole.width, height / whole.height))


def _path(found) -> str:
    """A path without spaces that it does not need; of straight lines alone relative, to a tenth of a point."""
    words = found[0][3:-1].split()
    if set(words) & set("CQAHVSTz") - {"z"} or len(words) < 12:
        tight = re.sub(r"\s*([A-Za-z])\s*", r"\1", " ".join(words))
        return f'd="{tight}"'
    parts, here, start, place = [], (0, 0), (0, 0), 0
    while place < len(words):
        command, place = words[place], place + 1
        if command == "z":
            parts.append("z")
            here = start
            continue
        # In tenths, so that what rounding leaves does not add up.
        x, y = (round(10 * float(word)) for word in words[place : place + 2])
        place += 2
        if command == "M":
            parts.append(f"M{_tenths(x)} {_tenths(y)}l")
            start = x, y
        else:
            parts.append(f"{_tenths(x - here[0])} {_tenths(y - here[1])} ")
        here = x, y
    return f'd="{re.sub(r" (?=[-z]|$)|l$", "", "".join(parts))}"'


def _tenths(number: int) -> str:
    return f"{number / 10:g}".replace("0.", ".", 1) if abs(number) < 10 and number else f"{number / 10:g}"


def _without_bare_groups(text: str) -> str:
    """Without groups that say nothing."""
    kept, opened = [], []
    for piece in re.split(r"(<g>|<g [^>]*>|</g>)", text):
        if piece == "<g>":
            opened.append(False)
        elif piece.startswith("<g "):
            opened.append(True)
            kept.append(piece)
        elif piece != "</g>" or opened.pop():
            kept.append(piece)
    return "".join(kept)


def _font(found) -> str:
    """The page's font; what comes before its name is its weight and size."""
    return f"font: {found[1]}var(--font);" if found[1].strip() else ""


def _short(found) -> str:
    number = found[1].rstrip("0").rstrip(".")
    return "0" if number in ("", "-", "-0") else number
