"""What the report says of several studies, and of differences from the published matrices."""

import browser
import numpy as np
import pytest

from kerasvae.analysis.study import load, metric_correlations, published_differences, replication, study_differences
from kerasvae.report import report_html
from kerasvae.report.write import REPLICATION, SECTIONS, sections_of


@pytest.fixture(scope="module")
def stacked(small):
    """The same runs in two studies, MIG 0.5 higher in one, with a setting of its own."""
    theirs = small.where(small.setting_code > 0)
    mine = small.with_metrics({"mig": small.column("mig") + 0.5})
    return load({"mine": mine, "theirs": theirs})


@pytest.fixture(scope="module")
def section(stacked):
    return report_html(stacked, replicates=20, sections=(REPLICATION,))


def columns_of(text):
    header, *lines = (line.split(",") for line in text.splitlines())
    return dict(zip(header, zip(*lines, strict=True), strict=True))


def test_several_studies_have_a_section_before_the_gallery_and_one_has_none(stacked, small):
    assert sections_of(small) == SECTIONS and REPLICATION not in SECTIONS
    titles = [title for title, _ in sections_of(stacked)]
    assert len(titles) == 12 and titles[9:11] == ["Replication between studies", "Best, median and worst run"]


def test_it_says_how_many_medians_differ_and_holds_the_tables(section, stacked, document):
    found = document(section)
    assert not found.problems and not found.all("script") and all(len(e["aria-label"]) > 20 for e in found.all("svg"))
    analysis = replication(stacked, replicates=20)
    assert all(line in found.text for line in analysis.sentences[:3])
    told = analysis["differences"].select(metric=["mig", "sap"], dataset="dsprites")
    count = sum(map(bool, told["differs"].tolist()))
    assert f"dsprites: {count} of {len(told)} differences of medians have an interval that excludes 0" in found.text
    files = found.downloads()
    np.testing.assert_allclose(
        np.array(columns_of(files["replication-differences.csv"])["estimate"], float),
        analysis["differences"]["estimate"],
        rtol=1e-6,
        atol=1e-9,
    )
    between = study_differences(metric_correlations(stacked, replicates=20)["correlations"])
    rows = columns_of(files["agreement-between-studies.csv"])
    np.testing.assert_allclose(np.array(rows["estimate"], float), between["estimate"], rtol=1e-6, atol=1e-9)
    assert "transfer-between-studies.csv" in files and "replication-shared.csv" in files


def test_studies_that_share_no_setting_still_have_their_matrices(small, document):
    others = [row | {"method": f"own {row['method']}"} for row in small.to_wide().rows()]
    table = load({"mine": small, "theirs": others})
    found = document(report_html(table, replicates=10, sections=(REPLICATION,)))
    assert (
        "Comparing settings is not possible: replication: 'mine' and 'theirs' have no setting in common" in found.text
    )
    assert "agreement-between-studies.csv" in found.downloads() and not found.problems
    far = load({"mine": small.select(dataset="dsprites"), "theirs": small.select(dataset="color_dsprites")})
    found = document(report_html(far, replicates=10, sections=(REPLICATION,)))
    assert "have no data set in common" in found.text and not found.all("svg") and not found.problems


def test_hostile_names_three_studies_and_one_that_failed(small, document):
    name = "<script>alert('x')</script> & $a_b$ {0}"
    failed = [row | {"status": "failed"} for row in small.to_wide().rows()]
    table = load({name: small, "b": small, "c": small, "d": failed})
    page = report_html(table, replicates=10, sections=(REPLICATION,))
    found = document(page)
    assert not found.problems and "<script" not in page and name in found.text
    assert "b against c" in found.text and "not possible" not in found.text
    alone = document(report_html(load({"a": small, "d": failed}), replicates=10, sections=(REPLICATION,)))
    assert "at least two studies with runs that are ok are needed" in alone.text


@pytest.mark.slow
def test_the_published_matrices_are_subtracted_where_names_match(page, results, document):
    found = document(page)
    correlations = metric_correlations(results, beside="locatello2019-slides", replicates=20)["correlations"]
    expected = published_differences(correlations)
    rows = columns_of(found.downloads()["agreement-minus-published.csv"])
    assert len(expected) and list(rows["contains"]) == [str(value) for value in expected["contains"].tolist()]
    np.testing.assert_allclose(np.array(rows["estimate"], float), expected["estimate"], rtol=1e-6)
    assert {"transfer-minus-published.csv", "downstream-minus-published.csv"} <= set(found.downloads())
    held = sum(map(bool, expected["contains"].tolist())) // 2
    assert f"noisy_dsprites: the interval holds the published number for {held} of {len(expected) // 2}" in found.text
    labels = [each["aria-label"] for each in found.all("svg")]
    assert sum("minus the published" in label for label in labels) == 3


def test_other_data_sets_and_no_published_study_have_no_differences(small, document):
    own = load([row | {"dataset": "own"} for row in small.to_wide().rows() if row["dataset"] == "dsprites"])
    for table, beside in ((own, "locatello2019-slides"), (small, None)):
        found = document(report_html(table, beside=beside, replicates=10, sections=SECTIONS[4:8]))
        assert not [name for name in found.downloads() if "minus" in name] and "minus published" not in found.text


@pytest.mark.skipif(browser.MISSING is not None, reason=str(browser.MISSING))
def test_it_fits_a_phone_and_a_desk(section, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(section, encoding="utf-8")
    with browser.started(tmp_path / "profile") as window:
        for width, scheme in ((390, "dark"), (1280, "light")):
            window.open(path, width, scheme=scheme)
            window.run("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert window.run("return document.documentElement.scrollWidth") <= width
            assert window.run("return document.querySelectorAll('svg.plot').length") >= 6
            assert not window.logs("browser") and not window.requests()
