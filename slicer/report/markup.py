r"""HTML and SVG elements from text: everything that is not `Markup` already is escaped, so no caller can forget to.

Characters that do not print (controls, directional overrides, lone surrogates) appear as their escapes, ``\u202e``: a
layer's name can neither hide nor reorder what stands around it.
"""

from __future__ import annotations

import html
from collections.abc import Container, Iterable, Sequence

VOID = frozenset({"br", "input", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def printable(text: str) -> str:
    """The text with every character that does not print as its Python escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def escaped(text: str) -> Markup:
    """Text as HTML."""
    return text if isinstance(text, Markup) else Markup(html.escape(printable(text)))


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Parts, escaped as needed, one after the other."""
    return Markup(separator.join(escaped(part) for part in parts))


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """``<tag attribute="value">children</tag>``.

    Attributes are written as Python names: ``class_`` for class, ``aria_label`` for aria-label; None leaves one out.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(children)}</{tag}>")


def table(
    head: Sequence[str], rows: Iterable[Iterable[str]], numbers: Container[int] = (), class_: str | None = None
) -> Markup:
    """A table whose cells are text or markup, with ``numbers``, by column, to the right.

    Rows may be whole ``<tr>`` elements.
    """
    right = ["n" if column in numbers else None for column in range(len(head))]
    headings = (element("th", words, scope="col", class_=side) for words, side in zip(head, right, strict=True))
    body = (row if isinstance(row, Markup) else _row(row, right) for row in rows)
    parts = element("thead", element("tr", *headings)), element("tbody", join(body, "\n"))
    return element("table", *parts, class_=class_)


def _row(cells: Iterable[str], classes: Sequence[str | None]) -> Markup:
    """One row of a table."""
    return element("tr", *(element("td", cell, class_=side) for cell, side in zip(cells, classes, strict=True)))


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """A table of two columns: names, and what they are."""
    rows = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in pairs)
    return element("table", element("tbody", join(rows, "\n")), class_="facts")


def bullets(texts: Iterable[str]) -> Markup:
    """A list."""
    return element("ul", *(element("li", text) for text in texts))


def code(text: str) -> Markup:
    """Text to be taken literally: paths, digests, commands."""
    return element("code", text)


def marked(word: str) -> str:
    """A verdict, that cannot be overlooked if it is bad."""
    return element("b", word, class_="bad") if word in ("rejected", "attested") else word


def group(summary: str, content: str) -> Markup:
    """Something long that is closed at first, with a note for paper."""
    note = element("span", " (closed, so not printed)", class_="print")
    return element("details", element("summary", summary, note), content)


def section(identifier: str, title: str, *children: str) -> Markup:
    """A section with its heading, which other places can link to."""
    return element("section", element("h2", title), *children, id=identifier)
