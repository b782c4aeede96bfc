"""`report_html`: a report as one self-contained page that reads and prints without scripts and without a network."""

from __future__ import annotations

from importlib.resources import files as resources

from slicer.report import front, tables
from slicer.report.markup import Markup, element, join
from slicer.report.record import Report

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # browsers refuse whatever is not in the page itself
_EVERYTHING = join([element("input", type="checkbox", id="everything"), " print closed groups of rows too"])


def report_html(report: Report) -> str:
    """The page. Equal reports give equal pages."""
    parts = [front.identity(report), front.repeat(report), front.meaning(report)]
    contents, found = report.contents, report.identity
    if contents is not None:
        parts += [tables.domain(contents), tables.savings(contents), tables.cells(report, contents)]
        parts.append(tables.removals(contents))
    if found is not None:
        parts.append(tables.files(found.files))
    opening = [front.verdict(report), _contents(report)]
    if any("<details>" in part for part in [*opening, *parts]):
        opening.append(element("p", element("label", _EVERYTHING), class_="choice"))
    body = element("body", element("main", *opening, *parts), _footer(report))
    return f"<!DOCTYPE html>\n{element('html', _head(report), body, lang='en')}\n"


def _head(report: Report) -> Markup:
    """Title and style."""
    style = resources("slicer.report").joinpath("report.css").read_text("utf-8") + _running(report)
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", front.title(report)),
        element("style", Markup(style)),
    )


def _running(report: Report) -> str:
    """What stands at the foot of every printed page: the bundle's digest (hexadecimal digits only)."""
    digest = report.identity.bundle if report.identity else "unknown"
    return f'@page {{ @bottom-left {{ content: "{report.verdict}, bundle {digest}"; font: 8pt sans-serif; }} }}\n'


def _contents(report: Report) -> Markup:
    """Links to the sections."""
    names = {"identity": "Identity", "repeat": "How to repeat", "claim": "What is claimed"}
    if report.contents is not None:
        names |= {"domain": "Domain", "savings": "Savings", "cells": "Cells", "removals": "Removals"}
    if report.identity is not None:
        names["files"] = "Files"
    links = (element("li", element("a", words, href=f"#{name}")) for name, words in names.items())
    return element("nav", element("ul", *links), aria_label="Sections")


def _footer(report: Report) -> Markup:
    """Where the page comes from."""
    words = f"Written by netslicer {report.tools['netslicer']}; format {report.format}. The same content as JSON: "
    return element("footer", element("p", join([words, element("code", "slicer audit --json")])))
