"""A report as JSON text that people can page through: one line for each cell, member and file."""

from __future__ import annotations

import json
from dataclasses import asdict

from slicer.report.record import Report


def report_json(report: Report) -> str:
    """The report as JSON; equal reports give equal texts."""
    return _lines(asdict(report), 3) + "\n"


def _lines(value: object, levels: int, indent: str = "") -> str:
    """A JSON value whose outer levels have a line for each item."""
    if levels == 0 or not isinstance(value, dict | list | tuple) or not value:
        return json.dumps(value, allow_nan=False)
    inner = indent + " "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_lines(item, levels - 1, inner)}" for key, item in value.items()]
    else:
        items = [_lines(item, levels - 1, inner) for item in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{end}"
