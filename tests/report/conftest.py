import base64
import io
import re
import urllib.parse
import zipfile
from html.parser import HTMLParser

import pytest
from study_results import study_columns

from kerasvae.analysis.study.load import load
from kerasvae.report import report_html

VOID = {"meta", "link", "br", "img", "hr", "input", "wbr"}


class Document(HTMLParser):
    """What a page holds: its elements with their attributes, its text, and whether every element is closed."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.problems, self.texts = [], [], [], []
        self.feed(page)
        self.close()
        self.problems += [f"{name} is not closed" for name in self.open]

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(set(names)) < len(names):
            self.problems.append(f"{tag} has an attribute twice: {names}")
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def downloads(self):
        """{file name: CSV text} of the links that hold one."""
        found = {}
        for link in self.all("a"):
            if "download" in link:
                head, data = link["href"].split(",", 1)
                if head == "data:application/zip;base64":
                    with zipfile.ZipFile(io.BytesIO(base64.b64decode(data))) as file:
                        (name,) = file.namelist()
                        found[name] = file.read(name).decode()
                    assert link["download"] == f"{name}.zip"
                else:
                    assert head == "data:text/csv;charset=utf-8"
                    found[link["download"]] = urllib.parse.unquote(data)
        return found

    def addresses(self):
        """Everything that a browser would fetch or go to."""
        found = [
            a[name] for _, a in self.elements for name in ("src", "href", "xlink:href", "srcset", "action") if name in a
        ]
        for _, attributes in self.elements:
            found += re.findall(r"url\((.*?)\)", attributes.get("style", ""))
        return found


@pytest.fixture(scope="session")
def document():
    return Document


@pytest.fixture(scope="session")
def results():
    """144 runs of every kind of metric: 6 methods, 3 strengths, 4 seeds, 2 data sets."""
    table = load(study_columns(datasets=3, strengths=3, seeds=4)).select(dataset=["dsprites", "noisy_dsprites"])
    left_out = ("beta_vae_score", "factor_vae_score", "sap", "downstream.lr.10", "downstream.lr.1000")
    return table.select(metrics=[metric for metric in table.metrics if metric not in left_out])


@pytest.fixture(scope="session")
def small():
    """Of 2 methods, 2 strengths, 3 seeds and 2 data sets."""
    table = load(study_columns(datasets=2, strengths=2, seeds=3))
    return table.select(method=["beta_vae", "factor_vae"], metrics=["mig", "sap", "loss.kl", "loss.reconstruction"])


@pytest.fixture(scope="session")
def page(results):
    """The whole report, published tables beside; few replicates, as only its form is looked at."""
    return report_html(results, beside="locatello2019-slides", replicates=20, date="2026-01-02", title="A study")
