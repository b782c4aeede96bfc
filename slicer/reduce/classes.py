"""Outputs of a cell that cannot win, in mode ``decision``.

Requires: no output outside of ``classes`` ever is the largest (smallest) one in the cell (its certificate is checked
elsewhere), and the last layer is dense.
Does: names the outputs that become constant, with their values.
Ensures: the member's largest (smallest) output is where the parent's is.
Proof: CERTIFICATE.md §3, *Classes*. Outputs that may win keep their bits; the others are the numbers farthest from
winning; and where one output always wins, there is nothing to compute.
Reference: result-preserving removal of Lahav & Katz, *Pruning and Slicing Neural Networks using Formal Verification*
(FMCAD 2021), on the level of outputs.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from dispatcher.plan import Decision

LARGEST = np.finfo(np.float32).max


def fixed_outputs(decision: Decision, outputs: int, classes: Collection[int]) -> dict[int, np.float32]:
    """The value of every output that becomes constant where only ``classes`` may win."""
    lost = -LARGEST if decision == "argmax" else LARGEST
    fixed = {output: lost for output in range(outputs) if output not in classes}
    return fixed | ({next(iter(classes)): np.float32(0)} if len(classes) == 1 else {})
