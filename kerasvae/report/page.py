"""An HTML document around sections: its style, light, dark and printed, and a list of contents."""

from __future__ import annotations

import html
import re
from collections import Counter

from kerasvae.report.blocks import text

STYLE = """
:root{--page:#fff;--text:#1c1e21;--quiet:#5b6066;--grey:#8d9298;--line:#dde0e3;--soft:#f4f6f8;--link:#0b5cad;
--ok:#1a7f4b;--pale:#9fd3b6;--bad:#c2410c;--font:system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;
color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--page:#15181c;--text:#e6e8eb;--quiet:#a3a9b1;--grey:#858c95;--line:#343a41;
--soft:#1e2329;--link:#7db7f5;--ok:#3fb27a;--pale:#24553d;--bad:#f2894f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.55 var(--font);overflow-wrap:anywhere}
header,main,footer{max-width:1060px;margin:0 auto;padding:0 18px}
header{padding-top:28px}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 12px}
h2{font-size:1.3rem;margin:44px 0 10px;padding-top:12px;border-top:2px solid var(--line)}
h3{font-size:1.06rem;margin:22px 0 4px}
h4{font-size:1rem;line-height:1.4;margin:18px 0 6px;font-weight:600}
a{color:var(--link)}
nav ol{columns:2 260px;padding-left:1.6em;margin:8px 0 0}
ul{padding-left:1.3em;margin:6px 0}
ul.columns{columns:3 240px}
p{margin:6px 0}
.note,figcaption,.quiet{color:var(--quiet);font-size:.86rem}
.finding{font-size:1.02rem}
.impossible{background:var(--soft);border-left:4px solid var(--grey);padding:8px 12px}
figure{margin:18px 0 22px}
.panels{display:flex;flex-wrap:wrap;gap:10px 14px;align-items:flex-start}
.panel{max-width:100%;overflow-x:auto}
.panel img{display:block;max-width:100%;height:auto;image-rendering:auto;border:1px solid var(--line)}
svg.plot{font-family:var(--font);display:block;max-width:100%;height:auto;color:var(--text)}
svg.plot *{stroke-linejoin:round;stroke-linecap:butt}
svg.grid text{font:11px var(--font);fill:var(--text)}
.cell-full{fill:var(--ok)}.cell-some{fill:var(--pale)}.cell-none{fill:none;stroke:var(--grey);stroke-width:.8}
.cell-failed{fill:none;stroke:var(--bad);stroke-width:1.6}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 16px;padding:0;margin:4px 0 8px;font-size:.88rem}
.dot{display:inline-block;width:.8em;height:.8em;border-radius:50%;margin-right:.4em;vertical-align:-.05em}
details{border:1px solid var(--line);border-radius:6px;padding:4px 12px;margin:8px 0;background:var(--page)}
summary{cursor:pointer;padding:4px 0;font-size:.94rem}
details[open]>summary{border-bottom:1px solid var(--line);margin-bottom:6px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.84rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
caption{text-align:left;font-weight:600;padding:4px 0}
th,td{padding:3px 9px;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap;max-width:36em;
overflow:hidden;text-overflow:ellipsis}
th{background:var(--soft)}
.n{text-align:right}
footer{margin-top:40px;padding-bottom:36px;color:var(--quiet);font-size:.84rem}
@media (max-width:600px){body{font-size:15px}h1{font-size:1.4rem}h2{font-size:1.16rem}header,main,footer
{padding-left:14px;padding-right:14px}nav ol{columns:1}details{padding:4px 8px}}
@page{size:A4;margin:14mm 13mm}
@media print{:root{--page:#fff;--text:#111;--quiet:#444;--grey:#777;--line:#ccc;--soft:#f3f3f3;--link:#111;--ok:#1a7f4b;
--pale:#9fd3b6;--bad:#c2410c;color-scheme:light}body{font-size:10pt}header,main,footer{max-width:none;padding:0}
h2{break-after:avoid;margin-top:22px}h3,h4{break-after:avoid}.panel{break-inside:avoid;overflow:visible}
.panels{gap:6px 1%}.panel.small{width:32%}.panel.medium{width:49%}.panel.wide{width:100%}
svg.plot{min-width:0!important}
details:not([open]),.download,nav{display:none}tr{break-inside:avoid}.scroll{overflow:visible}
th,td{white-space:normal}}
"""


_OF_FIGURES = re.compile(r' style="((?:fill|stroke|font|text-anchor|opacity)[^"]*)"')


def share_styles(body: str) -> tuple[str, str]:
    """The page with classes for the styles that its figures repeat, and these classes: a third of the figures' size."""
    counts = Counter(_OF_FIGURES.findall(body))
    names = {style: f"s{number}" for number, (style, count) in enumerate(counts.most_common()) if count > 2}
    body = _OF_FIGURES.sub(lambda found: f' class="{names[found[1]]}"' if found[1] in names else found[0], body)
    return body, "".join(f".{name}{{{html.unescape(style)}}}\n" for style, name in names.items())


def page(title: str, sections) -> str:
    """A whole document.

    Args:
        title: of the page.
        sections: list of (heading, HTML).
    """
    contents = "".join(
        f'<li><a href="#section-{number}">{text(heading)}</a></li>' for number, (heading, _) in enumerate(sections, 1)
    )
    body = "".join(
        f'<section id="section-{number}" aria-labelledby="heading-{number}"><h2 id="heading-{number}">{number}. '
        f"{text(heading)}</h2>{inner}</section>"
        for number, (heading, inner) in enumerate(sections, 1)
    )
    body, classes = share_styles(body)
    # The policy holds a browser to what the page is: no script, and nothing from anywhere.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{text(title)}</title><style>{STYLE.strip()}\n{classes}</style></head>\n'
        f'<body><header><h1>{text(title)}</h1><nav aria-label="Contents"><ol>{contents}</ol></nav></header>\n'
        f"<main>{body}</main>\n<footer>Made by kerasvae. This page holds all it shows.</footer></body></html>\n"
    )
