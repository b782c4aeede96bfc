"""A cell served by an affine function, in mode ``epsilon``.

Requires: the function is within the bounds of the network on the cell (its certificate is checked elsewhere).
Does: puts the function in the place of the whole network.
Ensures: the member's outputs are within the bounds of the parent's.
Proof: CERTIFICATE.md §5, *Errors*; rounding of both included.
Reference: the linear function of a cell without unstable units, as in the folding of stable layers by Serra et al.,
*Scaling Up Exact Neural Network Compression by ReLU Stability* (NeurIPS 2021), here with a tolerance.
"""

from __future__ import annotations

from dispatcher.plan import Affine, Member, MemberLayer
from slicer.network import Network


def affine_member(network: Network, affine: Affine) -> Member:
    """The member that is an affine function of the network's input."""
    inputs = MemberLayer(tuple(range(network.n_in)))
    return Member((inputs, *[MemberLayer(())] * (len(network.layers) - 1)), affine)
