"""Emit a family as ONNX: one model that routes and evaluates batches, and one model for each member.

A runtime chooses its own order of summation, so outputs are not the parent's bits: they lie within the bound that the
certificates' noise covers (CERTIFICATE.md §4), as the parent's own outputs in that runtime do. Routing is exact.
"""

from __future__ import annotations

from pathlib import Path

from dispatcher.attested import NONE_ATTESTED, Attested
from dispatcher.emit_c99.prefix import check_prefix
from dispatcher.emit_onnx import proto
from dispatcher.emit_onnx.builder import GraphBuilder
from dispatcher.emit_onnx.network import add_network
from dispatcher.emit_onnx.routing import add_dispatcher
from dispatcher.errors import UnusableInput
from dispatcher.layers import Layers
from dispatcher.package import write_package
from dispatcher.plan import Family, member_layers
from dispatcher.promise import same

__all__ = ["OPSETS", "emit_onnx"]

OPSETS = range(13, 18)


def emit_onnx(
    family: Family,
    bundle_digest: str,
    out: Path,
    name: str = "family",
    opset: int = 17,
    *,
    attested: Attested = NONE_ATTESTED,
) -> list[Path]:
    """Write a family as ONNX models of IR version 8.

    Parameters
    ----------
    family:
        The family.
    bundle_digest:
        The bundle's sha256, for the models' metadata.
    out:
        Directory that appears complete or not at all.
    name:
        Of the files and graphs.
    opset:
        Version of the operator set, 13 to 17.
    attested:
        What rests on a solver's word, for the models' metadata (key ``attested``).

    Returns
    -------
    list[Path]
        ``NAME.onnx``: ``inputs [batch, n_in]`` to ``outputs [batch, n_out]`` and ``cells [batch]``; rows outside the
        domain give NaN and −1. ``members/NAME_000000.onnx`` and so on: ``inputs`` to ``outputs`` of one member each,
        in the order of the bundle.

    Raises
    ------
    UnusableInput
        If the operator set is none of these, the name is no C identifier, or ``out`` exists and is anything but an
        empty directory.
    """
    check_prefix(name)
    if opset not in OPSETS:
        raise UnusableInput(f"expected {OPSETS[0]} to {OPSETS[-1]}, got {opset}", where="opset")
    builder = GraphBuilder()
    add_dispatcher(builder, family)
    graph = builder.graph(name, family.parent[0].width, family.parent[-1].width, cells=True)
    metadata = {"bundle": bundle_digest} | ({"attested": str(attested)} if attested.cells else {})
    metadata |= {} if family.mode == "bitwise" else {"promise": same(family)}
    files: dict[str, str | bytes] = {f"{name}.onnx": proto.model(graph, opset, metadata)}
    for index, member in enumerate(family.members):
        graph = _network_graph(member_layers(family.parent, member), f"{name}_{index:06d}")
        files[f"members/{name}_{index:06d}.onnx"] = proto.model(graph, opset, metadata | {"member": str(index)})
    return write_package(files, out)


def _network_graph(layers: Layers, name: str) -> bytes:
    """A network alone."""
    builder = GraphBuilder()
    builder.add("Identity", [add_network(builder, layers, "inputs")], output="outputs")
    return builder.graph(name, layers[0].width, layers[-1].width)
