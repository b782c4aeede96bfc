"""The audit report: one record of everything an audit found, written as JSON or as a self-contained HTML page."""

from slicer.report.collect import collect
from slicer.report.json_text import report_json
from slicer.report.page import report_html
from slicer.report.record import Report

__all__ = ["Report", "collect", "report_html", "report_json"]
