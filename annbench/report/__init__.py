"""The report: from result records to an answer, fronts, and the page that shows them."""

from annbench.report.write import FORMATS, ReportPaths, write_report

__all__ = ["FORMATS", "ReportPaths", "write_report"]
