"""The audit report: one record of everything an audit found, written as JSON or as a self-contained HTML page."""

from slicer.report.collect import collect
from slicer.report.page import report_html
from slicer.report.record import Report, report_json

__all__ = ["Report", "collect", "report_html", "report_json"]
