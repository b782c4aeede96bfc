"""Inspection of a deployed copy: inputs whose answers tell it from a copy with a fault, and the judgement of answers.

A device evaluates the inputs and reports cells and outputs; nothing else about it is known. The inputs reach both sides
of every border, disagree with members that are in the wrong place, and make the stored numbers visible in the outputs.
"""

from dispatcher.inspection.answers import Answers, read_answers
from dispatcher.inspection.header import header_bytes
from dispatcher.inspection.select import inspection_points
from dispatcher.inspection.verdict import Accepted, Rejected, Verdict, judge, verdict_json

__all__ = [
    "Accepted",
    "Answers",
    "Rejected",
    "Verdict",
    "header_bytes",
    "inspection_points",
    "judge",
    "read_answers",
    "verdict_json",
]
