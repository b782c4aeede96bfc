"""Removals without proof: certificates name them as attested (CERTIFICATE.md §6), and whoever serves them says it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from dispatcher.errors import UnusableBundle

# The first key of a certificate that has it: canonical JSON sorts keys, and no audit takes another spelling.
_KEY = b'{"attested":'


@dataclass(frozen=True, slots=True)
class Attested:
    """What rests on a solver's word: removals, each of one unit in one cell, and the cells with such removals."""

    removals: int = 0
    cells: int = 0

    def __str__(self) -> str:
        removals = f"{self.removals:,} removal{'s' * (self.removals != 1)}"
        cells = f"{self.cells:,} cell{'s' * (self.cells != 1)}"
        return f"{removals} in {cells} rest{'s' * (self.removals == 1)} on a solver's word, not on a proof"


NONE_ATTESTED = Attested()


def attested_units(certificate: bytes, where: str) -> int:
    """Number of attested units of a certificate, nothing else of which is parsed.

    Raises
    ------
    UnusableBundle
        If their list is none; ``where`` names the file.
    """
    if not certificate.startswith(_KEY):
        return 0
    try:
        rows, _ = json.JSONDecoder().raw_decode(certificate.decode("ascii"), len(_KEY))
        return sum(len([int(unit) for unit in units]) for _, units in rows)
    except (ValueError, TypeError, RecursionError) as error:
        raise UnusableBundle(f"expected [[layer, [unit, ...]], ...]: {error}", where=f"{where}: attested") from error
