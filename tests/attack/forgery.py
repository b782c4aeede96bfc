"""`Forgery`: a forged bundle and an input that shows it, and how such inputs are looked for.

The forger looks where the change was made, which the hunt does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dispatcher.errors import UnusableBundle
from dispatcher.files import family_files, read_family
from dispatcher.runtime import Dispatcher
from tests.attack.forge import Draft
from tests.attack.points import corners, on_bounds, within
from tests.attack.proof import Boxes
from tests.attack.target import tree_boxes

TRIALS = 24  # cells, members or numbers that a forger tries before it gives up
_SAMPLE = 4096  # points of a box


@dataclass(frozen=True, eq=False)
class Forgery:
    """A forged bundle.

    Attributes
    ----------
    draft:
        Its content.
    cells:
        Cells whose certificate or member is wrong: the witness's, or those whose boxes are not what they say.
    witness:
        An input ``[n_in]`` at which it does not return what it promises of its source model; None if there is none.
    false_fact:
        Whether only a closing is false, on which no removal rests.
    needle:
        Whether inputs that show it may be so few that a hunt misses them.
    """

    draft: Draft
    cells: tuple[int, ...]
    witness: np.ndarray | None
    false_fact: bool = False
    needle: bool = False


Forge = Callable[[Draft, np.random.Generator], Forgery | None]  # None where the bundle offers nothing of the kind


def shown(draft: Draft, points: np.ndarray) -> Forgery | None:
    """The forgery, if its family has the right form and one of the points ``[m, n_in]`` shows that it is one."""
    try:
        read_family(family_files(draft.family))
    except UnusableBundle:
        return None
    wrong = draft.differing(points)
    if not wrong.any():
        return None
    witness = points[wrong.argmax()]
    return Forgery(draft, (int(Dispatcher(draft.family).route(witness)),), witness)


def cell_sample(draft: Draft, cells: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Points of some cells ``[m, n_in]``."""
    boxes, _ = tree_boxes(draft.family.tree, draft.family.lower, draft.family.upper)
    return np.concatenate([box_sample(boxes[[cell]], rng) for cell in cells])


def box_sample(box: Boxes, rng: np.random.Generator) -> np.ndarray:
    """Points of a single box ``[m, n_in]``: corners, points on its bounds, and points inside."""
    many = box[np.zeros(_SAMPLE // 2, np.int64)]
    return np.concatenate([corners(box, _SAMPLE // 8, rng), on_bounds(many, rng), within(many, rng)])
