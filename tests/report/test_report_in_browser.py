"""The report in a real browser: on a phone, on a desk, in the dark and on paper."""

import re

import browser
import pytest

pytestmark = pytest.mark.skipif(browser.MISSING is not None, reason=str(browser.MISSING))

# Contrast of colours as WCAG 2 has it, of the page's background with that of all text of figures and of paragraphs.
CONTRAST = """
const light = text => {
  const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 :
    ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const page = light(getComputedStyle(document.body).backgroundColor);
const of = value => (Math.max(value, page) + 0.05) / (Math.min(value, page) + 0.05);
const labels = [...document.querySelectorAll('svg.plot text')].filter(each =>
  !['rgb(16, 16, 16)', 'rgb(254, 254, 254)', 'rgb(112, 112, 112)'].includes(getComputedStyle(each).fill));
const words = [...document.querySelectorAll('p, li, figcaption, h2, h4, td, th')];
const least = (all, name) => Math.min(...all.map(each => of(light(getComputedStyle(each)[name]))));
return {page: page, count: labels.length, labels: least(labels, 'fill'), words: least(words, 'color')};
"""
WIDTHS = "return [document.documentElement.scrollWidth, window.innerWidth, document.body.scrollWidth]"
SIZES = """
return [...document.querySelectorAll('svg.plot')].map(each => each.getBBox()).map(box => box.width * box.height)
"""
OPEN = "document.querySelectorAll('details').forEach(each => each.open = true)"


@pytest.fixture(scope="module")
def file(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browser.started(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_says_nothing_on_the_console_and_asks_for_nothing(window, file, width):
    window.open(file, width)
    for opened in (False, True):
        if opened:
            window.run(OPEN)
        page, inner, body = window.run(WIDTHS)
        assert inner == width and page <= inner and body <= inner
    assert not window.logs("browser")
    assert not window.requests()
    assert window.run("return document.compatMode") == "CSS1Compat"
    # What is drawn is drawn: no figure is empty or without a size.
    sizes = window.run(
        "return [...document.querySelectorAll('svg.plot')].map(e => e.getBBox().width * e.getBBox().height)"
    )
    assert len(sizes) > 30 and min(sizes) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page_light_and_dark(window, file, scheme):
    window.open(file, scheme=scheme)
    found = window.run(CONTRAST)
    assert (found["page"] < 0.05) == (scheme == "dark") and found["count"] > 300
    assert found["labels"] > 4.5 and found["words"] > 4.5


def test_paper_is_white_whatever_the_screen_and_no_part_of_a_figure_is_cut(window, file):
    # A4 within its margins, 184 mm, is 695 pixels wide.
    window.open(file, 695, scheme="dark", media="print")
    assert window.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert window.run(WIDTHS)[0] <= 695
    right = "return Math.max(...[...document.querySelectorAll('svg.plot')].map(e => e.getBoundingClientRect().right))"
    assert window.run(right) <= 695
    pdf = window.command("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
    assert len(pdf) > 10_000


def test_a_link_to_a_table_leads_into_what_is_closed(window, file):
    window.open(file)
    name = re.search(r'href="#(table-[a-z-]*)"', file.read_text(encoding="utf-8"))[1]
    window.run(f"location.hash = '{name}'")
    assert window.run(f"return document.getElementById('{name}').closest('details') !== null")
