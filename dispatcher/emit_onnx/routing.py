"""The dispatcher as a graph: routing by float32 comparisons, then every member on the rows that are its own.

Routing walks the tree for all rows at a time, one level after the other; a leaf leads to itself. Rows that are outside
the domain, or hold NaN, get the cell −1 and outputs NaN: nothing is proved for them, and no member evaluates them.
"""

from __future__ import annotations

import numpy as np

from dispatcher.emit_onnx.builder import GraphBuilder
from dispatcher.emit_onnx.network import add_network
from dispatcher.plan import Family, member_layers
from dispatcher.tree import Split, tree_depth


def add_dispatcher(builder: GraphBuilder, family: Family) -> None:
    """Append the whole family; its results are named ``outputs`` and ``cells``."""
    inside = _add_inside(builder, family)
    none = builder.integers(-1)
    cell = _add_route(builder, family)
    member = builder.add("Where", [inside, builder.add("Gather", [builder.integers(family.cells), cell]), none])
    values, rows = [], []
    for index, one in enumerate(family.members):
        mine = builder.add("NonZero", [builder.add("Equal", [member, builder.integers(index)])])
        rows.append(builder.add("Transpose", [mine], attributes={"perm": [1, 0]}))  # [n, 1]
        flat = builder.add("Squeeze", [rows[-1], builder.integers([1])])
        part = builder.add("Gather", ["inputs", flat], attributes={"axis": 0})
        values.append(add_network(builder, member_layers(family.parent, one), part))
    together = [builder.add("Concat", parts, attributes={"axis": 0}) for parts in (rows, values)]
    builder.add("ScatterND", [_add_nan(builder, family), *together], output="outputs")
    builder.add("Where", [inside, cell, none], output="cells")


def _add_inside(builder: GraphBuilder, family: Family) -> str:
    """Which rows ``[batch]`` are within the domain."""
    above = builder.add("LessOrEqual", [builder.floats(family.lower), "inputs"])
    below = builder.add("LessOrEqual", ["inputs", builder.floats(family.upper)])
    number = builder.add("Cast", [builder.add("And", [above, below])], attributes={"to": 1})
    least = builder.add("ReduceMin", [number], attributes={"axes": [1], "keepdims": 0})
    return builder.add("Less", [builder.floats([0.5]), least])


def _add_route(builder: GraphBuilder, family: Family) -> str:
    """The cell of every row ``[batch]``."""
    nodes = [
        (node.axis, node.threshold, node.low, node.high) if isinstance(node, Split) else (0, 0.0, position, position)
        for position, node in enumerate(family.tree)
    ]
    axes, thresholds, lows, highs = zip(*nodes, strict=True)
    tables = builder.integers(axes), builder.floats(thresholds), builder.integers(lows), builder.integers(highs)
    cells = [-1 if isinstance(node, Split) else node.cell for node in family.tree]
    rows = builder.add("Gather", [builder.add("Shape", ["inputs"]), builder.integers([0])])
    at = builder.add("Expand", [builder.integers([0]), rows])
    for _ in range(tree_depth(family.tree)):
        axis, threshold, low, high = (builder.add("Gather", [table, at]) for table in tables)
        column = builder.add("Unsqueeze", [axis, builder.integers([1])])
        number = builder.add("GatherElements", ["inputs", column], attributes={"axis": 1})
        number = builder.add("Squeeze", [number, builder.integers([1])])
        at = builder.add("Where", [builder.add("LessOrEqual", [number, threshold]), low, high])
    return builder.add("Gather", [builder.integers(cells), at])


def _add_nan(builder: GraphBuilder, family: Family) -> str:
    """NaN for every row and output."""
    rows = builder.add("Gather", [builder.add("Shape", ["inputs"]), builder.integers([0])])
    shape = builder.add("Concat", [rows, builder.integers([family.parent[-1].width])], attributes={"axis": 0})
    return builder.add("Expand", [builder.floats([np.nan]), shape])
