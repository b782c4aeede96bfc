"""Fuzzing: random changes of bytes and of JSON values. Both parsers come to the same verdict, soon, and never crash.

Whatever both still accept must be shown true (`doubts`), as for mutants.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import slicer
from slicer.certificate.verdict import Rejected
from tests.certificates.bases import CHAIN, CONTEST, HAND, NEAR, PREFIXES, READ, base
from tests.certificates.both import judge
from tests.certificates.opened import MANIFEST, Bench, Json, Opened, canonical
from tests.certificates.truth import doubts

FUZZ = settings(
    deadline=timedelta(seconds=20),
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
BITS = ["3f800000", "80000000", "00000001", "7f7fffff", "7f800000", "ffc00000"]
TEXTS = [
    "",
    "0x0.0p+0",
    "-0x1.0000000000000p+0",
    "nan",
    "inf",
    "1e999",
    "\ud800",
    "\x00",
    "relu",
    "0" * 64,
    "bitwise",
    *BITS,
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([2**31, -(2**63), 10**16, 10**300]),
    st.sampled_from(TEXTS),
    st.text(max_size=8),
)
KEYS = st.sampled_from(["axis", "threshold", "inactive", "active", "cell", "low", "kind", "source", "units", "a", ""])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("fuzz") / "bundle")


def check(bundle: Path) -> None:
    """Both checkers agree on the bundle, and what they accept is true or belongs to another model."""
    if judge(bundle).accepted and not isinstance(slicer.audit(bundle).source, Rejected):
        assert doubts(bundle) == []


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "put", "drop", "double", "insert", "cut"]),
        st.integers(0, 2**20),
        st.integers(1, 40),
        st.one_of(
            st.binary(min_size=1, max_size=6),
            st.sampled_from([b'"', b"[", b"]", b"{", b"}", b",", b"-", b"1e9", b"\\"]),
        ),
    ),
    min_size=1,
    max_size=4,
)


def changed(content: bytes, changes: list[tuple[str, int, int, bytes]]) -> bytes:
    """Bytes after some changes at random places."""
    for what, place, length, other in changes:
        at = place % (len(content) + 1)
        after = at + length
        match what:
            case "flip":
                content = (
                    content[:at] + bytes(byte ^ 1 << length % 8 for byte in content[at : at + 1]) + content[at + 1 :]
                )
            case "put":
                content = content[:at] + other + content[at + len(other) :]
            case "drop":
                content = content[:at] + content[after:]
            case "double":
                content = content[:after] + content[at:after] + content[after:]
            case "insert":
                content = content[:at] + other + content[at:]
            case "cut":
                content = content[:at]
    return content


@FUZZ
@given(name=st.sampled_from([HAND, PREFIXES, CONTEST, NEAR, READ]), file=st.integers(0, 99), changes=CHANGES)
def test_bytes_of_a_file(name: str, file: int, changes: Any, bench: Bench, base_folder: Path) -> None:
    """One file changed; the manifest follows."""
    opened = base(name, base_folder)
    files = {path: value if isinstance(value, bytes) else canonical(value) for path, value in opened.seal().items()}
    path = sorted(files)[file % len(files)]
    check(bench.show(opened.listed(files | {path: changed(files[path], changes)})))


@FUZZ
@given(changes=CHANGES)
def test_bytes_of_the_manifest(changes: Any, bench: Bench, base_folder: Path) -> None:
    contents = base(HAND, base_folder).written()
    check(bench.show(contents | {MANIFEST: changed(contents[MANIFEST], changes)}))


def places(value: Json, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys to all values inside a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield (*keys, key)
        yield from places(item, (*keys, key))


def put(root: Json, keys: tuple[Any, ...], value: Json) -> None:
    for key in keys[:-1]:
        root = root[key]
    root[keys[-1]] = value


def got(root: Json, keys: tuple[Any, ...]) -> Json:
    for key in keys:
        root = root[key]
    return json.loads(json.dumps(root))


@FUZZ
@given(data=st.data(), name=st.sampled_from([HAND, CHAIN, PREFIXES, CONTEST, NEAR, READ]))
def test_values_of_finished_files(data: st.DataObject, name: str, bench: Bench, base_folder: Path) -> None:
    """Random JSON values, or values from elsewhere in the bundle, in finished files; the manifest follows."""
    opened = base(name, base_folder)
    files = {path: got(value, ()) for path, value in opened.seal().items() if not isinstance(value, bytes)}
    others = {path: value for path, value in opened.seal().items() if isinstance(value, bytes)}
    _change(data, files)
    check(bench.show(opened.listed(files | others)))


@FUZZ
@given(data=st.data(), name=st.sampled_from([HAND, CHAIN, PREFIXES, CONTEST, NEAR, READ]))
def test_values_of_open_parts(data: st.DataObject, name: str, bench: Bench, base_folder: Path) -> None:
    """The same in the open parts; every digest follows."""
    opened = base(name, base_folder)
    parts = {
        "parent": opened.parent,
        "family": opened.family,
        "members": opened.members,
        "certificates": opened.certificates,
    }
    _change(data, parts)
    for part, value in parts.items():
        setattr(opened, part, value)
    try:
        contents = opened.written()
    except (TypeError, AttributeError, KeyError, ValueError):
        return  # no digest can follow
    check(bench.show(contents))


def _change(data: st.DataObject, root: Json) -> None:
    """Put other values into one to three places."""
    for _ in range(data.draw(st.integers(1, 3))):
        keys = data.draw(st.sampled_from(list(places(root))))
        if data.draw(st.booleans()):
            value = got(root, data.draw(st.sampled_from(list(places(root)))))
        else:
            value = data.draw(VALUES)
        put(root, keys, value)


@FUZZ
@given(tree=st.lists(st.dictionaries(st.sampled_from(["axis", "threshold", "inactive", "active"]), VALUES), max_size=7))
def test_random_proofs(tree: Json, bench: Bench, base_folder: Path) -> None:
    opened: Opened = base(HAND, base_folder)
    opened.certificates[1]["tree"] = tree
    check(bench.show(opened.written()))


AXES, CUTS = (
    st.integers(0, 1),
    st.sampled_from([x.hex() for x in (0.0, -0.0, 0.25, 0.5, 0.75, 1.0, -0.5, -1.0, 2.0**-149)]),
)
ROWS = st.tuples(st.sampled_from([2, 4]), st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True).map(sorted))
MARGINS = st.tuples(st.just(7), st.sampled_from([[1], [2], [2], [0], [1, 2], [2, 3]]))


def units(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Some rows of units of different layers."""
    return st.lists(rows, min_size=1, max_size=2, unique_by=lambda row: row[0]).map(sorted)


def trees(closed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Proofs of good form that close such units."""
    leaves = st.fixed_dictionaries({}, optional={"inactive": closed, "active": closed})
    return cut(leaves, leaves)


def cut(leaves: st.SearchStrategy[Any], nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Proofs of such leaves and splits."""
    return st.recursive(
        leaves.map(lambda leaf: [leaf]),
        lambda below: st.builds(
            lambda node, axis, at, low, high: [node | {"axis": axis, "threshold": at}, *low, *high],
            nodes, AXES, CUTS, below, below,
        ),
        max_leaves=6,
    )  # fmt: skip


UNITS = units(ROWS)


@FUZZ
@given(tree=trees(UNITS), removed=st.one_of(UNITS, st.just([])), cell=st.integers(0, 2))
def test_random_proofs_of_good_form(tree: Json, removed: Json, cell: int, bench: Bench, base_folder: Path) -> None:
    """Random trees, closings and removals, with the members that follow: accepted only if true."""
    opened: Opened = base(HAND, base_folder)
    widths = {2: 5, 4: 4}
    removed = [[layer, [unit for unit in row if unit < widths[layer]]] for layer, row in removed]
    opened.certificates[cell] |= {"tree": tree, "removed": [row for row in removed if row[1]]}
    opened.rebuild_members()
    check(bench.show(opened.written()))


@settings(FUZZ, max_examples=75)
@given(
    tree=trees(units(st.one_of(ROWS, MARGINS))),
    classes=st.sampled_from([[0], [0], [1], [0, 1]]),
    cell=st.integers(0, 2),
)
def test_random_proofs_of_decisions(tree: Json, classes: Json, cell: int, bench: Bench, base_folder: Path) -> None:
    """The same of classes and margins."""
    opened: Opened = base(CONTEST, base_folder)
    opened.certificates[cell] |= {"tree": tree, "removed": [], "classes": classes}
    opened.rebuild_members()
    check(bench.show(opened.written()))


@settings(FUZZ, max_examples=75)
@given(
    tree=cut(
        st.sampled_from([[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [2], [0, 1, 3]]).map(
            lambda k: {"inactive": [[9, k]]}
        ),
        st.sampled_from([{}, {}, {"inactive": [[4, [1]]]}, {"inactive": [[9, [0, 1, 3]]]}, {"active": [[2, [4]]]}]),
    ),
    function=st.sampled_from([0, 2, 3, 4]),
    cell=st.integers(0, 4),
    bound=st.sampled_from([0.375, 0.5, 2.0, 8.0]),
)
def test_random_proofs_of_functions(
    tree: Json, function: int, cell: int, bound: float, bench: Bench, base_folder: Path
) -> None:
    """The same of readouts, their errors and bounds."""
    opened: Opened = base(NEAR, base_folder)
    opened.certificates[cell] |= {"tree": tree, "removed": [], "readout": opened.certificates[function]["readout"]}
    opened.family["epsilon"][0] = bound.hex()
    opened.rebuild_members()
    check(bench.show(opened.written()))
