"""The report: what it holds, that it holds all it shows, and what it says of tables that nobody should have."""

import csv
import io
import re

import numpy as np
import pytest
from PIL import Image
from study_results import study_columns

from kerasvae.analysis.study.correlations import metric_correlations
from kerasvae.analysis.study.load import load
from kerasvae.report import blocks, report_html, write_report
from kerasvae.report.page_size import within_limit
from kerasvae.report.write import SECTIONS

HOSTILE = "<script>alert('x')</script> & \"</style>\" $a_b$"


@pytest.fixture(scope="module")
def parsed(page, document):
    return document(page)


def test_the_page_is_whole_and_its_identifiers_are_its_own(page, parsed):
    assert page.startswith("<!DOCTYPE html>") and not parsed.problems
    names = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(set(names)) == len(names)
    targets = [address[1:] for address in parsed.addresses() if address.startswith("#")]
    targets += re.findall(r"url\(#([^)]*)\)", page)
    assert targets and set(targets) <= set(names)


def test_all_sections_stand_in_order(parsed):
    headings = [attributes["id"] for attributes in parsed.all("h2")]
    assert headings == [f"heading-{number}" for number in range(1, 12)]
    for number, (title, _) in enumerate(SECTIONS, 1):
        assert f"{number}. {title}" in parsed.text


def test_nothing_is_fetched_and_nothing_runs(page, parsed):
    assert all(address.startswith(("#", "data:")) for address in parsed.addresses())
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    assert not parsed.all("script") and not parsed.all("iframe") and not parsed.all("object")
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]


def test_every_figure_says_in_words_what_it_shows(parsed):
    figures, pictures = parsed.all("svg"), parsed.all("img")
    assert len(figures) > 30
    assert all(len(each["aria-label"]) > 20 and each["role"] == "img" for each in figures)
    assert all(each.get("alt") for each in pictures)
    assert len(parsed.all("figcaption")) == len(parsed.all("figure"))


def test_figures_take_the_colours_of_the_page(page):
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.S):
        assert "#222222" not in figure and "#ffffff" not in figure and "DejaVu" not in figure
    assert "prefers-color-scheme:dark" in page and "@media print" in page


def test_links_hold_the_tables(parsed, results):
    files = parsed.downloads()
    frame = metric_correlations(results, beside="locatello2019-slides", replicates=20)["correlations"]
    header, columns = _columns(files["agreement-correlations.csv"])
    found = dict(zip(header, columns, strict=True))
    assert header == frame.columns and list(found["metric_a"]) == frame["metric_a"].tolist()
    for name in ("estimate", "lo", "hi"):
        numbers = [float(text) if text else np.nan for text in found[name]]
        np.testing.assert_allclose(numbers, frame[name], rtol=1e-6)
    for text in files.values():
        lines = list(csv.reader(io.StringIO(text)))
        assert len(lines) > 1 and {len(line) for line in lines} == {len(lines[0])}


def test_large_tables_are_in_a_zip(monkeypatch, small, document):
    plain = document(report_html(small, replicates=5, sections=SECTIONS[4:5])).downloads()
    monkeypatch.setattr(blocks, "MOST_PLAIN", 10)
    page = report_html(small, replicates=5, sections=SECTIONS[4:5])
    assert page.count("data:application/zip") == len(plain) and document(page).downloads() == plain
    monkeypatch.setattr(blocks, "MOST_ROWS", 3)
    found = document(report_html(small, replicates=5, sections=SECTIONS[4:5]))
    assert "no CSV file here" in found.text and "agreement-correlations.csv" not in found.downloads()


def test_a_page_that_is_too_large_has_more_zips_and_then_fewer_files(small, document):
    page = report_html(small, replicates=5, sections=SECTIONS[4:5])
    plain, size = document(page).downloads(), len(page.encode())
    assert within_limit(page, size) == page
    # A limit that the smallest saving meets takes one file, the largest.
    zipped = within_limit(page, size - 1)
    assert zipped.count("data:application/zip") == 1 and document(zipped).downloads() == plain
    smallest = within_limit(page, 1000)
    assert not document(smallest).downloads() and smallest.count("is left out here") == len(plain)
    assert len(smallest.encode()) < len(zipped.encode()) < size


def _columns(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, zip(*rows, strict=True)


def test_it_says_what_the_numbers_say(parsed, results):
    row = metric_correlations(results, replicates=20)["over_datasets"].row(
        metric_a="mig", metric_b="dci.disentanglement"
    )
    numbers = (f"{100 * row[name]:.0f}" for name in ("estimate", "lo", "hi"))
    told = "MIG – DCI disentanglement {} [{}, {}]".format(*numbers)
    assert told in parsed.text
    assert "Published: Locatello et al. 2019." in parsed.text and "All of these rules use labels" in parsed.text
    assert "published-selection-odds.csv" in parsed.downloads()
    assert f"fingerprint {results.fingerprint}" in parsed.text and "144 runs, 144 ok." in parsed.text
    assert "no evidence of a difference" in parsed.text and "2026-01-02" in parsed.text
    assert "On this table the seed matters more than the method" in parsed.text


def test_the_same_table_gives_the_same_page(small):
    runs = small.to_wide().rows()
    options = {"replicates": 5, "date": "2026-01-02", "sections": SECTIONS[:2] + SECTIONS[4:5]}
    assert report_html(load(runs), **options) == report_html(load(runs[::-1]), **options)


def test_a_missing_analysis_is_a_sentence(small, document):
    text = document(report_html(small.select(dataset="dsprites"), replicates=5)).text
    assert "Not possible: total correlation: the table has none of unsup.gaussian_tc" in text
    assert 'Not possible: downstream tasks, such as "downstream.gbt.100"' in text
    assert "Not possible: no folder of images was given" in text


def rows(count=12, **options):
    draws = np.random.default_rng(0)
    return [
        {"method": "beta_vae", "strength": 1 + place % 2, "seed": place // 2}
        | {"mig": draws.random(), "sap": draws.random()}
        | {name: value(place) if callable(value) else value for name, value in options.items()}
        for place in range(count)
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (rows(1), "1 runs, 1 ok."),
        (rows(2, status="failed"), "2 runs, 0 ok, 2 failed."),
        (rows(12, seed=1, **{"hp.draw": lambda place: place}), "1 seeds each"),
        (rows(12, mig=0.5), "no correlation with what is constant"),
        (rows(12, status=lambda place: "failed" if place % 2 else "ok"), "6 failed of 6."),
        (rows(12, mig=float("inf"), sap=None), "not finite"),
        (rows(12, remark="kept", oddity=lambda place: place), "oddity"),
        (rows(12, method="dip_vae_i", mig=lambda place: 1.0 if place < 8 else 0.2), "have its largest value, 1"),
    ],
    ids=[
        "one run",
        "all failed",
        "one seed",
        "constant",
        "failed settings",
        "no numbers",
        "unknown columns",
        "saturated",
    ],
)
def test_hostile_tables(table, told, document):
    found = document(report_html(load(table), replicates=5))
    assert told in found.text and not found.problems
    assert len(found.all("h2")) == 11


def test_no_rows_and_half_a_last_line(tmp_path, document):
    path, lines = tmp_path / "runs.csv", ["method,strength,seed,mig,sap"]
    path.write_text("\n".join(lines) + "\n")
    found = document(report_html(path, replicates=5))
    assert not found.problems and "Not possible: table holds no runs that are ok." in found.text
    lines += [f"beta_vae,{row['strength']},{row['seed']},{row['mig']},{row['sap']}" for row in rows(12)]
    path.write_text("\n".join([*lines, "beta_vae,1,7,0."]))
    found = document(report_html(path, replicates=5, sections=SECTIONS[:1] + SECTIONS[10:]))
    assert not found.problems and "12 runs, 12 ok." in found.text


def test_names_that_are_html(document):
    table = rows(
        24, method=lambda place: f"{HOSTILE}{place % 3}", dataset=HOSTILE, **{f"{HOSTILE} score": lambda p: p % 7}
    )
    page = report_html(load(table), title=HOSTILE, replicates=5)
    found = document(page)
    assert not found.problems and not found.all("script") and "<script" not in page
    assert HOSTILE in found.text and found.text.count("</style>") > 3
    assert len(found.all("style")) == 1


def test_several_studies_are_never_pooled(small, document):
    both = load({"mine": small, "theirs": small.where(np.arange(len(small)) % 5 > 0)})
    found = document(report_html(both, replicates=5, sections=SECTIONS[:2] + SECTIONS[4:5] + SECTIONS[7:8]))
    assert [words.strip() for words in found.texts].count("theirs") > 2 and "mine: 2 of 2" not in found.text
    header, columns = _columns(found.downloads()["agreement-correlations.csv"])
    assert set(dict(zip(header, columns, strict=True))["study"]) == {"mine", "theirs"}


def test_many_settings_seeds_and_scores_are_cut_in_figures_alone(document):
    scores = {f"score {number}": (lambda place, number=number: (place * 7 + number * 13) % 11) for number in range(10)}
    table = rows(140, strength=lambda place: place // 2, seed=lambda place: place % 2, **scores)
    found = document(report_html(load(table), replicates=5, sections=SECTIONS[:1] + SECTIONS[4:5]))
    assert "The first 60 of 70 settings" in found.text
    assert "score 9" in found.downloads()["agreement-correlations.csv"]


def test_pictures_of_runs(small, tmp_path, document):
    best = small.select(dataset="dsprites")
    order = np.argsort(best.column("mig"))
    for place, colour in ((order[0], "red"), (order[-1], "blue"), (order[1], "green")):
        Image.new("RGB", (900, 300), colour).save(tmp_path / f"{best.run_id[place]}.png")
    found = document(report_html(small, images=tmp_path, replicates=5, sections=SECTIONS[9:10]))
    pictures = found.all("img")
    assert len(pictures) == 3 and all(each["src"].startswith("data:image/png;base64,") for each in pictures)
    assert "best run" in pictures[0]["alt"] and f"{best.column('mig')[order[-1]]:.3f}" in pictures[0]["alt"]
    assert "worst run" in pictures[2]["alt"] and "Of the 3 of" in found.text
    (tmp_path / f"{best.run_id[order[0]]}.png").write_bytes(b"no picture")
    assert "is no picture that can be read" in report_html(small, images=tmp_path, sections=SECTIONS[9:10])


def test_a_run_id_cannot_lead_out_of_the_folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    table = load(rows(4, run_id=lambda place: f"../secret{'' if not place else place}"))
    page = report_html(table, images=tmp_path / "pictures", replicates=5, sections=SECTIONS[9:10])
    assert "holds no picture of a run" in page


def test_the_file_appears_whole_or_not_at_all(small, tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    assert write_report(small, path, replicates=5, sections=SECTIONS[:1]) == path
    before = path.read_text(encoding="utf-8")

    def broken(material):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        write_report(small, path, replicates=5, sections=(("Broken", broken),))
    assert path.read_text(encoding="utf-8") == before and [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "report.pdf"}, "path must end in .html"),
        ({"beside": "nobody2020"}, "beside must be one of"),
        ({"replicates": 1}, "replicates must be"),
        ({"images": "nowhere"}, "images must be a folder"),
    ],
)
def test_wrong_arguments_are_answered_before_any_work(small, tmp_path, options, words):
    options = {"path": "report.html", **options}
    with pytest.raises(ValueError, match=words):
        write_report(small, tmp_path / options.pop("path"), sections=(("Never", None),), **options)
    assert not list(tmp_path.iterdir())


def test_it_is_small(page):
    assert len(page.encode()) < 3_000_000


def test_columns_of_the_helper_are_of_the_size_asked_for():
    columns = study_columns(datasets=7, strengths=6, seeds=2)
    assert {len(values) for values in columns.values()} == {7 * 36 * 2}
