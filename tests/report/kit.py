"""What the tests of the report share: small bundles, forgeries of them, and a reader of pages."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import slicer
from dispatcher.encode import canonical_json, digest
from dispatcher.layers import Input, Relu, dense
from slicer.network import Network
from slicer.report import collect, report_html, report_json
from tests.onnx_files import write_onnx

VOID = {"meta", "br", "input"}


def bundle_of(network: Network, folder: Path, domain: str, cells: int, effort: int = 60) -> Path:
    """A bundle of a chain of layers."""
    model = write_onnx(folder / "model.onnx", network)
    return slicer.compress(model, domain, folder / "bundle", slicer.Options(cells=cells, effort=effort, jobs=1)).path


def reasons_network() -> Network:
    """On [−1, 1]²: one unit of each reason to be left out, and one of each layer that stays.

    Layer 2: unit 0 is inactive, unit 2 is read by an inactive unit only. Layer 4: unit 0 is always 1, unit 1 inactive.
    """
    first = dense(0, np.array([[1, 0], [1, 1], [1, -1]]), np.array([-10, 0, 0.1]))
    second = dense(2, np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]]), np.array([1, -100, 0.5]))
    last = dense(4, np.array([[0.5, 1, 2]]), np.array([3]))
    return Network((Input(2), first, Relu(1, 3), second, Relu(3, 3), last))


def residual_model(path: Path) -> Path:
    """h = relu(W x + b), y = V (h + U h): the sum reads unit 0 of h, which is always inactive, as it is."""
    weights = {"W": [[1, 0], [1, 1]], "b": [-10, 0.5], "U": [[1, 0], [1, 1]], "V": [[1], [1]]}
    constants = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in weights.items()]
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["z"]),
        helper.make_node("Add", ["z", "b"], ["zb"]),
        helper.make_node("Relu", ["zb"], ["h"], name="activation"),
        helper.make_node("MatMul", ["h", "U"], ["u"]),
        helper.make_node("Add", ["h", "u"], ["s"], name="residual"),
        helper.make_node("MatMul", ["s", "V"], ["y"]),
    ]
    first = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    last = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph(nodes, "residual", [first], [last], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def renamed_model(path: Path, network: Network, names: list[str]) -> Path:
    """A chain whose ONNX nodes have the given names."""
    write_onnx(path, network)
    model = onnx.load(path)
    for node, name in zip(model.graph.node, names, strict=True):
        node.name = name
    path.write_bytes(model.SerializeToString())
    return path


def forge(bundle: Path, path: str, content: bytes) -> None:
    """Give a file new content, and the manifest its new digest."""
    (bundle / path).write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        if entry["path"] == path:
            entry.update(sha256=digest(content), size=len(content))
    (bundle / "manifest.json").write_bytes(canonical_json(manifest))


def forge_manifest(bundle: Path, **changes: Any) -> None:
    """Change keys of the manifest."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_bytes(canonical_json(manifest | changes))


def without_proof(bundle: Path, cell: int) -> None:
    """A certificate whose tree proves nothing any more."""
    path = f"certificates/{cell:06d}.json"
    record = json.loads((bundle / path).read_bytes())
    assert record["removed"]
    forge(bundle, path, canonical_json(record | {"tree": [{}]}))


def both(bundle: Path, **options: Any) -> tuple[dict[str, Any], str]:
    """Record and page of an audit."""
    report = collect(bundle, slicer.audit(bundle, **options))
    return json.loads(report_json(report)), report_html(report)


class Page(HTMLParser):
    """A page that was read: it must be well formed.

    ``tags``: all elements as (tag, attributes). ``rows``: the texts of each table row by the id of its section; the
    items of a list in it begin new lines. ``words``: the text of each element with an id, and of the title, without
    styles.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self.words: dict[str, str] = {}
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append((tag, attributes))
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
        if tag == "li" and self.rows.get(self.section) and "td" in [name for name, _ in self.open]:
            self.rows[self.section][-1][-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop()[0] == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if "style" in tags:
            return
        if "td" in tags or "th" in tags:
            self.rows[self.section][-1][-1] += data
        for place in {attributes.get("id") or tag for tag, attributes in self.open}:
            self.words[str(place)] = self.words.get(str(place), "") + data

    @property
    def section(self) -> str:
        """The id of the section that is open."""
        return next((str(attributes["id"]) for tag, attributes in self.open if tag == "section"), "front")

    def values(self, attribute: str) -> list[str]:
        """All values of an attribute."""
        return [str(attributes[attribute]) for _, attributes in self.tags if attribute in attributes]
