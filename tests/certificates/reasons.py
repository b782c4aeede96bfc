"""What a rejection is about, from its words: mutants must be rejected for what is wrong with them, nothing else.

A reason that fits no topic fails the tests: reasons are what people read.
"""

from __future__ import annotations

import re

from tests.certificates.both import Opinion

# Topic and words of the place and the reason; the first that fits counts.
_TOPICS = (
    ("digest", r"as in the manifest|sha256 of the manifest|named by its sha256"),
    (
        "listing",
        r"exactly the files|every file once|increasing path|increasing plain|relative path|files of the format|absent|"
        r"does not list|without listed|listed file|FileNotFound|this file in the manifest|one of parent|no other",
    ),
    ("json", r"(canonical|ASCII) JSON|expected JSON|levels|brackets"),
    ("overflow", r"overflow|at most 2\^126"),
    ("routing", r"^family/family.json:? (tree|cells|members)"),
    ("box", r"box of the cell|box that the routing tree gives"),
    ("member", r"another member's file|that the removals"),
    ("trust", r"a solver's word counts only"),
    ("unproved", r"a proved sign|upper bound <= 0|lower bound >= 0"),
    ("open", r"removed units closed|outside of classes closed|errors of the readout closed"),
    ("path", r"closed twice|closes elsewhere"),
    ("tree", r"whole tree|both children|after the last leaf|tree is complete|the node's box"),
    ("identity", r"(cell|format|mode|parent|member): expected"),
    ("form", r"expected"),
)


def topics(opinion: Opinion) -> set[str]:
    """The topics of an opinion's findings."""
    return {topic(str(finding)) for finding in opinion.findings}


def topic(reason: str) -> str:
    """The topic of a finding, place and reason."""
    for name, words in _TOPICS:
        if re.search(words, reason):
            return name
    raise AssertionError(f"a reason of no known topic: {reason}")
