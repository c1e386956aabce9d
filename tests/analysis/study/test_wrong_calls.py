"""Wrong calls of analyses of results and of their report."""

import functools

from wrong_calls import WrongCall, check, wrong_calls

from kerasvae.analysis import study
from kerasvae.report import report_html, write_report


@functools.cache
def table():
    return study.load(
        [{"model": "vae", "beta": b, "seed": s, "mig": b / 9, "sap": s / 9} for b in (1, 4) for s in (1, 2)]
    )


def row(name, call, *words, error=ValueError):
    return WrongCall(name, call, error, words)


RESULTS = [
    row("source-nowhere", lambda: study.load("nowhere.csv"), "source", "'nowhere.csv'", error=FileNotFoundError),
    row("source-a-number", lambda: study.load(5), "source must be a path", "int", error=TypeError),
    row("source-empty", lambda: study.load([]), "source must hold at least one run"),
    row("table-a-path", lambda: study.metric_correlations("a.csv"), "table must be a ResultsTable", error=TypeError),
    row("metrics-one-word", lambda: study.metric_correlations(table(), "mig"), "metrics must be a list", "'mig'"),
    row("metrics-a-number", lambda: study.compare_methods(table(), 5), "metrics must be a list of names", "5"),
    row("metrics-twice", lambda: study.metric_correlations(table(), ["mig", "mig"]), "metrics must be different"),
    row("beside-nobody", lambda: study.metric_correlations(table(), beside="nobody"), "dubois2019-poster", "'nobody'"),
    row("beside-a-list", lambda: study.published_tables(["a"]), "study must be one of", "['a']"),
    row("report-replicates", lambda: report_html(table(), replicates=1), "replicates must be", "at least 2, got 1"),
    row("report-beside", lambda: report_html(table(), beside="nobody"), "beside must be one of", "'nobody'"),
    row("report-title", lambda: report_html(table(), title=5), "title must be a text", "5"),
    row("report-path", lambda: write_report(table(), None), "path must end in .html", "None"),
    row("report-images", lambda: report_html(table(), images="nowhere"), "images must be a folder", "'nowhere'"),
    row("report-ending", lambda: write_report(table(), "a.pdf"), "path must end in .html", "'a.pdf'"),
]


@wrong_calls(*RESULTS)
def test_wrong_calls(wrong):
    check(wrong)
