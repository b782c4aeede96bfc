"""The files that a package is made from, and how their names become those of a package.

They are written with ``netslicer`` for the prefix. Emitting replaces it by the prefix, ``NETSLICER`` by the prefix in
capitals, and the places marked with ``@`` by what differs between families. Lines between ``/* @AFFINE */`` and
``/* AFFINE@ */`` are for families with affine members in layout ``masked``.
"""

from __future__ import annotations

import re
from importlib import resources

from dispatcher.emit_c99.tables import Layout

_INCLUDE = re.compile(r'#include "(\w+)\.c"\n')
_AFFINE = re.compile(r"/\* @AFFINE \*/\n(.*?)/\* AFFINE@ \*/\n", re.DOTALL)


def template(name: str) -> str:
    """Text of a file beside this one."""
    return (resources.files("dispatcher.emit_c99") / name).read_text(encoding="ascii")


def code_text(name: str, layout: Layout, *, affine: bool = False) -> str:
    """A C file with those that it includes in their places, ``packed.c`` or ``masked.c`` by layout."""
    content = _AFFINE.sub(r"\1" if affine else "", template(name))

    def included(match: re.Match[str]) -> str:
        stem = match.group(1)
        return code_text(f"{layout if stem == 'packed' else stem}.c", layout)

    return _INCLUDE.sub(included, content)


def rename(content: str, prefix: str) -> str:
    """The text with the package's prefix."""
    return content.replace("netslicer", prefix).replace("NETSLICER", prefix.upper())
