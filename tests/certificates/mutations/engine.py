"""The engine: every mutant is judged by both checkers; what both accept must be shown true by other means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import slicer
from slicer.certificate.verdict import Rejected
from tests.certificates.bases import BASES, base
from tests.certificates.both import Judgement, judge
from tests.certificates.mutations import (
    classes,
    closings,
    files,
    functions,
    listings,
    members,
    parents,
    reads,
    removals,
    routing,
    splits,
)
from tests.certificates.mutations.kinds import Contents, Kind, Sweep
from tests.certificates.opened import Bench
from tests.certificates.reasons import topics
from tests.certificates.truth import doubts

KINDS: tuple[Kind | Sweep, ...] = (
    *routing.KINDS,
    *removals.KINDS,
    *members.KINDS,
    *splits.KINDS,
    *closings.KINDS,
    *classes.KINDS,
    *functions.KINDS,
    *reads.KINDS,
    *parents.KINDS,
    *files.KINDS,
    *listings.KINDS,
)


class Fooled(AssertionError):
    """Both checkers accept a mutant that cannot be shown to be true."""


class WrongReason(AssertionError):
    """A mutant is rejected, but for nothing that its lie is about."""


@dataclass
class Tally:
    """What became of the mutants of one kind.

    Attributes
    ----------
    rejected:
        By both checkers.
    source:
        Accepted by both, as they do not read the model; `slicer.audit` rejects them by comparing it with the parent.
    harmless:
        Accepted by both and shown true.
    topics:
        What the checkers' rejections were about.
    """

    kind: str
    instances: int = 0
    rejected: int = 0
    source: int = 0
    harmless: int = 0
    topics: Counter[str] = field(default_factory=Counter)


def run(kind: Kind | Sweep, folder: Path, bases: Path, attempts: int, seed: int = 0) -> Tally:
    """Judge the mutants of a kind over all bases.

    Parameters
    ----------
    folder, bases:
        Where mutants are written, and where honest bundles are compressed (once in a process).
    attempts:
        Mutants that are tried for each base; fewer where not so many are different.

    Raises
    ------
    Disagreement, Fooled, WrongReason
        At the first mutant that is not rejected by both for a reason of its own, and not shown harmless either.
    """
    tally, bench = Tally(kind.name), Bench(folder / kind.name.replace(" ", "-"))
    for contents in _mutants(kind, bases, attempts, seed):
        bundle = bench.show(contents)
        judgement = judge(bundle)
        tally.instances += 1
        if not judgement.accepted:
            tally.rejected += 1
            tally.topics.update(_topics(kind, bundle, judgement))
        elif isinstance(slicer.audit(bundle).source, Rejected):
            tally.source += 1
        else:
            missing = doubts(bundle)
            if missing or not can_be_harmless(kind):
                raise Fooled(f"{kind.name} ({bundle}): both checkers accept it, but {missing or 'its form is wrong'}")
            tally.harmless += 1
    return tally


def can_be_harmless(kind: Kind | Sweep) -> bool:
    """Whether a mutant of the kind may be true: not if it breaks a rule of form, which must be refused in any case."""
    return not kind.topics or bool({"unproved", "open", "member", "source"} & set(kind.topics))


def _mutants(kind: Kind | Sweep, bases: Path, attempts: int, seed: int) -> Iterator[Contents]:
    """The mutants of all bases."""
    for name in BASES:
        yield from kind.mutants(base(name, bases), attempts, f"{name}/{seed}")


def _topics(kind: Kind | Sweep, bundle: Path, judgement: Judgement) -> set[str]:
    """What the rejections are about; each checker must have found what is wrong."""
    found = {checker: topics(opinion) for checker, opinion in judgement.opinions.items()}
    for checker, own in found.items():
        if not own & set(kind.topics):
            opinion = judgement.opinions[checker]
            raise WrongReason(f"{kind.name} ({bundle}): {checker} rejects because of {sorted(own)}, {opinion}")
    return set().union(*found.values())
