"""A picture of a bundle's cells over two inputs, coloured by the work of their members (needs the extra ``plot``).

    python examples/plot_cells.py BUNDLE --inputs 0 1 --out cells.png

The other inputs are held at the middle of the domain (or at ``--at``); shown are the cells that this plane meets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dispatcher.cost import cost
from dispatcher.load import load_bundle
from dispatcher.plan import Family, member_layers
from dispatcher.tree import Leaf, walk


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--inputs", type=int, nargs=2, default=[0, 1], metavar=("X", "Y"))
    parser.add_argument("--at", type=float, nargs="+", help="values of all inputs (those of X and Y are ignored)")
    parser.add_argument("--labels", nargs=2, help="axis labels")
    parser.add_argument("--title", default="")
    parser.add_argument("--out", type=Path, default=Path("cells.png"))
    options = parser.parse_args()
    family = load_bundle(options.bundle).family
    middle = (family.lower.astype(float) + family.upper) / 2
    labels = options.labels or [f"input {axis}" for axis in options.inputs]
    draw(family, options.inputs, np.array(options.at) if options.at else middle, labels, options.title, options.out)


def draw(family: Family, axes: list[int], at: np.ndarray, labels: list[str], title: str, out: Path) -> None:
    """Rectangles of the cells that meet the plane through ``at`` [n_in], coloured by multiply-accumulates."""
    parent = cost(family.parent).mac
    work = [cost(member_layers(family.parent, member)).mac for member in family.members]
    rectangles, values = [], []
    for position, lower, upper in walk(family.tree, family.lower, family.upper):
        node = family.tree[position]
        others = np.delete(np.arange(len(at)), axes)
        inside = ((at > lower) | (lower == family.lower)) & (at <= upper)  # ties go low
        if isinstance(node, Leaf) and inside[others].all():
            x, y = axes
            rectangles.append(Rectangle((lower[x], lower[y]), upper[x] - lower[x], upper[y] - lower[y]))
            values.append(100 * work[family.cells[node.cell]] / parent)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    plot = figure.subplots()
    cells = PatchCollection(rectangles, edgecolor="white", linewidth=0.8, cmap="viridis")
    cells.set_array(np.array(values))
    plot.add_collection(cells)
    plot.set(xlim=(family.lower[axes[0]], family.upper[axes[0]]), ylim=(family.lower[axes[1]], family.upper[axes[1]]))
    plot.set(xlabel=labels[0], ylabel=labels[1], title=title)
    figure.colorbar(cells, label="multiply-accumulates, % of the parent's")
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    main()
