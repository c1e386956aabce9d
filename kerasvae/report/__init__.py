"""The report of a study: one HTML file with its findings, figures and tables, that needs nothing else."""

from kerasvae.report.write import report_html, write_report

__all__ = ["report_html", "write_report"]
