"""Emit a family as one Python module that needs nothing but Python, and has the bits of `eval32`.

The code of the module is ``module.py`` beside this file, as it stands, with the family's data put into it.
"""

from __future__ import annotations

import keyword
import sys
from importlib import resources
from pathlib import Path

from dispatcher.attested import NONE_ATTESTED, Attested
from dispatcher.emit_python.data import family_text
from dispatcher.errors import UnusableInput
from dispatcher.package import write_package
from dispatcher.plan import Family
from dispatcher.promise import same

__all__ = ["emit_python"]


def emit_python(
    family: Family, bundle_digest: str, out: Path, name: str = "family", *, attested: Attested = NONE_ATTESTED
) -> list[Path]:
    """Write a family as a module ``NAME.py``.

    Parameters
    ----------
    family:
        The family.
    bundle_digest:
        The bundle's sha256, for the module's docstring and ``BUNDLE_DIGEST``.
    out:
        Directory that appears complete or not at all.
    name:
        The module's name.
    attested:
        What rests on a solver's word, for the docstring.

    Returns
    -------
    list[Path]
        The one file.

    Raises
    ------
    UnusableInput
        If the name is no Python identifier or that of a standard module, or ``out`` exists and is anything but an empty
        directory.
    """
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise UnusableInput(
            f"expected a Python identifier, got {name[:80]!r}", where="prefix", fix="choose a name like net"
        )
    text = (resources.files("dispatcher.emit_python") / "module.py").read_text(encoding="utf-8")
    origin = f"Bundle sha256 {bundle_digest}." + (f"\nATTESTED: {attested}." if attested.cells else "")
    text = text.replace("@NAME@", name).replace("@ORIGIN@", origin).replace("@SAME@", same(family))
    return write_package({f"{name}.py": text.replace("@DATA@", family_text(family, bundle_digest))}, out)
