"""The report: from result records to an answer, fronts, and the page that shows them."""

from annbench.report.content import Content, report_content
from annbench.report.write import FORMATS, ReportPaths, write_content, write_report

__all__ = ["FORMATS", "Content", "ReportPaths", "report_content", "write_content", "write_report"]
