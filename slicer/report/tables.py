"""The long part of a report: domain, savings, every cell, every removal with its reason, every file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from slicer.report.charts import layer_chart, work_histogram
from slicer.report.markup import Markup, code, element, escaped, group, join, marked, section, table
from slicer.report.record import CellRecord, CellVerdict, Contents, FileRecord, Removal, Report
from slicer.report.strip import cell_strip
from slicer.report.views import cell_views

GROUP = 256  # rows of a table; longer ones are cut into closed groups of as many


def domain(contents: Contents) -> Markup:
    """The box of inputs and how the cells cover it."""
    count, deepest = len(contents.cells), max(cell.comparisons for cell in contents.cells)
    if count == 1:
        words = "The domain is not cut: one cell, no comparison, one member."
    else:
        shares = [cell.share for cell in contents.cells]
        words = (
            f"{count:,} cells cover the domain without gap or overlap, as every input takes exactly one way through "
            f"the routing tree, of at most {deepest} comparisons. A cell holds {_range(shares)} % of the volume; "
            f"{len(contents.members):,} distinct members serve them. Proofs are about closed cells, so borders are "
            "covered twice."
        )
    rows = [
        [f"x{axis}", plain(entry.lower), plain(entry.upper), f"{entry.cuts:,}", f"{entry.cuts_mean:.3g}"]
        for axis, entry in enumerate(contents.inputs)
    ]
    head = ("input", "lower", "upper", "cuts in the tree", "mean cuts on a route")
    inputs = _grouped(rows, lambda part: table(head, part, range(1, 5)), "inputs")
    return section(
        "domain", "Domain and coverage", element("p", words), inputs, cell_strip(contents), cell_views(contents)
    )


def _range(shares: Sequence[float]) -> str:
    """From the least to the largest share, in percent."""
    low, high = f"{100 * min(shares):.3g}", f"{100 * max(shares):.3g}"
    return low if low == high else f"{low} to {high}"


def savings(contents: Contents) -> Markup:
    """What is left, as charts and per layer."""
    rows = [
        [
            f"{position}",
            layer.kind,
            layer.name,
            f"{layer.units:,}",
            f"{layer.units_min:,}",
            f"{layer.units_mean:,.1f}",
            f"{layer.units_max:,}",
        ]
        for position, layer in enumerate(contents.layers)
    ]
    head = ("layer", "kind", "name", "units in the parent", "left: least", "mean", "most")
    layers = _grouped(rows, lambda part: table(head, part, range(3, 7)), "layers")
    charts = work_histogram(contents), layer_chart(contents.layers)
    return section("savings", "Savings", *charts, element("h3", "All layers"), layers)


def cells(report: Report, contents: Contents) -> Markup:
    """The table of cells."""
    names = [checker.name for checker in report.checkers]
    before = contents.parent
    head = ["cell", "box", "volume", "tests", f"ReLU units of {before.relu_units:,}", f"MAC of {before.mac:,}"]
    head += ["removed", "bounds inactive", "active", "nodes", "depth", "worst margin", *names]
    rows = [_cell(index, cell, contents, names) for index, cell in enumerate(contents.cells)]
    words = (
        "Box: the inputs whose range is narrower than the domain's. Tests: comparisons on the route to the cell. Units "
        "and MAC (multiply-accumulates) are those left in the member, beside the parent's. Removed: units proved "
        "inactive. Bounds (lemmas: units proved inactive or active on a node's box), nodes and depth: size of the "
        "proof. Worst margin: least distance from zero of a verified bound, in units of the pre-activation. Then the "
        "verdict of each checker, and its time where it is known."
    )
    listed = _grouped(rows, lambda part: table(head, part, range(2, 12), "wide"), "cells")
    return section("cells", "Cells", element("p", words), listed)


def _cell(index: int, cell: CellRecord, contents: Contents, names: Sequence[str]) -> Markup:
    """One row."""
    cost, proof = contents.members[cell.member].cost, cell.proof
    numbers = [f"{100 * cell.share:.3g} %", f"{cell.comparisons}", f"{cost.relu_units:,}", f"{cost.mac:,}"]
    if proof is None:
        numbers += ["–"] * 6
    else:
        removed = sum(len(row.proved) for row in cell.removals)
        counts = (removed, proof.inactive, proof.active, proof.nodes, proof.depth)
        numbers += [*(f"{count:,}" for count in counts), "–" if proof.margin is None else f"{proof.margin:.2e}"]
    return element(
        "tr",
        element("th", element("a", str(index), href=f"#removed-{index}"), scope="row", id=f"cell-{index}"),
        element("td", box_text(cell), class_="box"),
        *(element("td", number, class_="n") for number in numbers),
        *(element("td", _verdict(cell.verdicts[name]), class_="word") for name in names),
    )


def _verdict(found: CellVerdict) -> Markup:
    """One checker's word and time; a rejection's reason stands among the findings and removals."""
    time = "" if found.seconds is None else f" {found.seconds:.3f} s"
    return join([marked(found.outcome), time])


def box_text(cell: CellRecord) -> Markup:
    """The box in one line, which breaks between inputs only."""
    parts = (Markup(f"x{axis}&nbsp;[{plain(lower)},&nbsp;{plain(upper)}]") for axis, lower, upper in cell.box)
    return join(parts, " ") or Markup("the whole domain")


def plain(value: float) -> str:
    """The shortest decimal that reads back as the same float32 number."""
    return repr(value).removesuffix(".0")


def removals(contents: Contents) -> Markup:
    """Every unit that a cell's member lacks, with the reason and the files that prove it."""
    names = [f"{position} {layer.name}" for position, layer in enumerate(contents.layers)]
    labels = [element("b", escaped(name)) for name in names]
    rows = [_removed(index, cell, contents, labels) for index, cell in enumerate(contents.cells)]
    words = (
        "Layer by layer (position and name in the parent), the units that are proved inactive on the cell, and so left "
        "out; 7×3 means that three nodes of the proof tree close unit 7, each on its part of the cell, and no number "
        "that one node does. Then what follows: units whose value is constant, and units that nobody reads any more. "
        "Weights that are exactly zero and constant prefixes need no proof of their own."
    )
    trace = (
        "To trace a removal: the cell's row here names the certificate whose tree proves it and the member without it; "
        "the list of files has their sha256; manifest.json has the same list, and its sha256 is the bundle's digest, "
        "which emitted C99 repeats in the head of every file."
    )
    head = ("cell", "units left out", "files")
    listed = _grouped(rows, lambda part: table(head, part, class_="wide"), "cells")
    return section("removals", "Removals", element("p", words), element("p", trace), listed)


def _removed(index: int, cell: CellRecord, contents: Contents, labels: Sequence[Markup]) -> Markup:
    """One cell's removals."""
    member = contents.members[cell.member]
    lines: list[str] = list(_reasons(cell)) if cell.proof is None else [_layer(row, labels) for row in cell.removals]
    if member.affine:
        lines.append("the whole network: an affine function of the inputs is within the bounds")
    elif member.readout:
        lines.append("all layers behind those of the readout, which is within the bounds")
    if cell.classes:
        lines.append(f"outputs that may win: {' '.join(map(str, cell.classes))}")
    if member.prefixes or member.constants:
        lines.append(f"in the member: {member.prefixes:,} constant prefixes, {member.constants:,} constants")
    units = element("ul", *(element("li", words) for words in lines), class_="layers")
    serves = f" of {member.cells:,} cells" if member.cells > 1 else ""
    links = [
        _file(cell.certificate, cell.certificate),
        _file(f"family/members/{member.sha256}.json", f"member {member.sha256[:16]}…{serves}"),
    ]
    return element(
        "tr",
        element("th", element("a", str(index), href=f"#cell-{index}"), scope="row", id=f"removed-{index}"),
        element("td", units if lines else "nothing: the member is the parent"),
        element("td", join(links, "<br>"), class_="word"),
    )


def _reasons(cell: CellRecord) -> Iterable[str]:
    """Why nothing can be said about a cell's removals."""
    yield "not shown, as the rigorous checker has not accepted this cell's certificate"
    for name, found in cell.verdicts.items():
        if found.outcome == "rejected":
            yield f"{name}: {found.where}: {found.why}"


def _layer(row: Removal, labels: Sequence[Markup]) -> Markup:
    """One layer's units with their reasons."""
    parts = [" ".join(_times(unit, nodes) for unit, nodes in zip(row.proved, row.nodes, strict=True))]
    parts += [
        f"{reason} {' '.join(map(str, units))}"
        for reason, units in (
            ("on a solver's word:", row.attested),
            ("constant:", row.constant),
            ("unread:", row.unread),
            ("still evaluated:", row.evaluated),
        )
        if units
    ]
    return join([labels[row.layer], ": ", "; ".join(part for part in parts if part)])


def _times(unit: int, nodes: int) -> str:
    """A unit and the number of nodes that close it."""
    return f"{unit}×{nodes}" if nodes > 1 else f"{unit}"


def _file(path: str, words: str) -> Markup:
    """A link to a file's row."""
    return element("a", words, href=f"#file-{path}")


def files(entries: Sequence[FileRecord]) -> Markup:
    """Every file with its digest."""
    rows = [
        element(
            "tr",
            element("td", code(entry.path), id=f"file-{entry.path}", class_="path"),
            element("td", f"{entry.size:,}", class_="n"),
            element("td", code(entry.sha256), class_="word"),
        )
        for entry in entries
    ]
    words = f"{len(rows):,} files and manifest.json itself, whose sha256 is the bundle's digest."
    listed = _grouped(rows, lambda part: table(["path", "bytes", "sha256"], part, {1}, "wide"), "files")
    return section("files", "Files", element("p", words), listed)


def _grouped(rows: Sequence[Iterable[str]], draw: Callable[[Sequence[Iterable[str]]], Markup], what: str) -> Markup:
    """One table, or one for each group of rows, closed."""
    if len(rows) <= GROUP:
        return element("div", draw(rows), class_="scroll")
    groups = []
    for start in range(0, len(rows), GROUP):
        part = rows[start : start + GROUP]
        summary = f"{what} {start:,} to {start + len(part) - 1:,}"
        groups.append(group(summary, element("div", draw(part), class_="scroll")))
    return join(groups, "\n")
