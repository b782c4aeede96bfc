"""`Dispatcher`: send every input to its member and return the parent's bits.

Inside the domain the outputs equal the parent's declared evaluation (proved by the bundle's certificates, which
`slicer audit` checks), or in mode ``decision`` have the largest or smallest output where the parent has it. What
happens outside is the caller's explicit choice; NaN is an error always.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatcher.errors import UnusableInput
from dispatcher.evaluate import Evaluator
from dispatcher.inputs import Points, as_points, outside, refuse_infinite, refuse_outside
from dispatcher.plan import Decision, Family, member_layers
from dispatcher.route import Router

OutOfDomain = Literal["error", "clamp", "parent"]

_PARENT = -1  # stands among the member indices for the parent


class Dispatcher:
    """Serves a family of members for batches of inputs.

    Members are packed when an input first needs them, and kept.

    Parameters
    ----------
    family:
        The family, as `dispatcher.load` reads it from a bundle.

    Examples
    --------
    >>> from dispatcher.layers import Input, dense
    >>> from dispatcher.plan import Leaf, whole_member
    >>> parent = (Input(1), dense(0, [[2.0]], bias=[1.0]))
    >>> lower, upper = np.float32([-1]), np.float32([1])
    >>> family = Family("bitwise", parent, lower, upper, (Leaf(0),), (whole_member(parent),), (0,))
    >>> Dispatcher(family).predict([[0.5], [1]])
    array([[2.],
           [3.]], dtype=float32)
    >>> Dispatcher(family).predict([1.5], out_of_domain="clamp")
    array([3.], dtype=float32)
    """

    def __init__(self, family: Family) -> None:
        self.family = family
        self._router = Router(family.tree)
        self._member_of_cell = np.array(family.cells, np.int64)
        self._evaluators: dict[int, Evaluator] = {}

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.family.parent[0].width

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.family.parent[-1].width

    def route(self, inputs: ArrayLike) -> NDArray[np.int64]:
        """The cell of every input.

        Parameters
        ----------
        inputs:
            ``[batch, n_in]``, or one vector ``[n_in]``; numbers as for `predict`.

        Returns
        -------
        NDArray[np.int64]
            Cell indices ``[batch]``; of one vector, an array of shape ``[]``.

        Raises
        ------
        UnusableInput
            If an input is NaN or outside the domain (it has no cell), or has the wrong shape or type.
        """
        given = as_points(inputs, self.n_in)
        points = np.atleast_2d(given)
        refuse_outside(points, self.family.lower, self.family.upper)
        return self._router(points).reshape(given.shape[:-1])

    def predict(self, inputs: ArrayLike, out_of_domain: OutOfDomain = "error") -> Points:
        """The parent's outputs, computed by the members.

        In mode ``decision`` those that cannot win are numbers that do not, and the others have no meaning where one
        always wins: see `decide`.

        Parameters
        ----------
        inputs:
            ``[batch, n_in]``, or one vector ``[n_in]``. Floating-point numbers of another precision are rounded to the
            nearest float32 first; integers must be float32 numbers.
        out_of_domain:
            What to do with inputs outside the domain: ``"error"`` refuses them, ``"clamp"`` moves each number to the
            nearest one of the domain, ``"parent"`` evaluates the whole parent (infinite numbers are still refused).

        Returns
        -------
        Points
            Float32 ``[batch, n_out]``; of one vector, ``[n_out]``.

        Raises
        ------
        UnusableInput
            Naming row and input (counted from 0), the value and the domain's bounds.
        """
        if out_of_domain not in get_args(OutOfDomain):
            raise UnusableInput(
                f"expected one of {', '.join(get_args(OutOfDomain))}, got {out_of_domain!r}", where="out_of_domain"
            )
        given = as_points(inputs, self.n_in)
        points = np.atleast_2d(given)
        stray = outside(points, self.family.lower, self.family.upper)
        if stray.any():
            points = self._admit(points, out_of_domain)
        members = self._member_of_cell[self._router(points)]
        if out_of_domain == "parent":
            members[stray] = _PARENT
        outputs = np.empty((len(points), self.n_out), np.float32)
        for member, rows in _groups(members):
            outputs[rows] = self._evaluator(member)(points[rows])
        return outputs.reshape(*given.shape[:-1], self.n_out)

    def decide(self, inputs: ArrayLike, out_of_domain: OutOfDomain = "error") -> NDArray[np.int64]:
        """Where the parent has its largest (``argmax``) or smallest output, the first of equal ones; mode ``decision``.

        Parameters
        ----------
        inputs, out_of_domain:
            As in `predict`.

        Returns
        -------
        NDArray[np.int64]
            Numbers of outputs ``[batch]``; of one vector, an array of shape ``[]``.

        Raises
        ------
        UnusableInput
            If the bundle has another mode, or as in `predict`.
        """
        if self.family.decision is None:
            raise UnusableInput(f"expected a bundle of mode decision, got {self.family.mode}", where="decide")
        return winners(self.predict(inputs, out_of_domain), self.family.decision)

    def _admit(self, points: Points, out_of_domain: OutOfDomain) -> Points:
        """Points of which some lie outside the domain, as the policy lets them in."""
        match out_of_domain:
            case "clamp":
                clamped: Points = np.clip(points, self.family.lower, self.family.upper)
                return clamped
            case "parent":
                refuse_infinite(points)
            case "error":
                refuse_outside(points, self.family.lower, self.family.upper)
        return points

    def _evaluator(self, member: int) -> Evaluator:
        """The packed member (or the parent), prepared once."""
        if member not in self._evaluators:
            parent = self.family.parent
            layers = parent if member == _PARENT else member_layers(parent, self.family.members[member])
            self._evaluators[member] = Evaluator(layers)
        return self._evaluators[member]


def winners(outputs: Points, decision: Decision) -> NDArray[np.int64]:
    """Where outputs ``[…, n_out]`` are largest or smallest, the first of equal ones ``[…]``."""
    return np.asarray((np.argmax if decision == "argmax" else np.argmin)(outputs, axis=-1))


def _groups(members: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The rows of every member that occurs: (member, ascending row indices) pairs."""
    order = np.argsort(members, kind="stable")
    borders = np.flatnonzero(np.diff(members[order])) + 1
    for rows in np.split(order, borders):
        if rows.size:
            yield int(members[rows[0]]), rows
