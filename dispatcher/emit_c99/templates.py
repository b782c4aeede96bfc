"""The files that a package is made from, and how their names become those of a package.

They are written with ``netslicer`` for the prefix. Emitting replaces it by the prefix, ``NETSLICER`` by the prefix in
capitals, and the places marked with ``@`` by what differs between families. In layout ``masked``, lines between
``/* @READOUT */`` and ``/* READOUT@ */`` are for families with members that read hidden units, those between
``/* @AFFINE */`` and ``/* AFFINE@ */`` for families with affine ones.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib import resources
from typing import Literal

from dispatcher.emit_c99.tables import Layout

_INCLUDE = re.compile(r'#include "(\w+)\.c"\n')
_MARKED = re.compile(r"/\* @(READOUT|AFFINE) \*/\n(.*?)/\* \1@ \*/\n", re.DOTALL)

Part = Literal["READOUT", "AFFINE"]


def template(name: str) -> str:
    """Text of a file beside this one."""
    return (resources.files("dispatcher.emit_c99") / name).read_text(encoding="ascii")


def code_text(name: str, layout: Layout, parts: Collection[Part] = ()) -> str:
    """A C file with those that it includes in their places, ``packed.c`` or ``masked.c`` by layout; marked parts."""
    content = _MARKED.sub(lambda match: match.group(2) if match.group(1) in parts else "", template(name))

    def included(match: re.Match[str]) -> str:
        stem = match.group(1)
        return code_text(f"{layout if stem == 'packed' else stem}.c", layout)

    return _INCLUDE.sub(included, content)


def rename(content: str, prefix: str) -> str:
    """The text with the package's prefix."""
    return content.replace("netslicer", prefix).replace("NETSLICER", prefix.upper())
