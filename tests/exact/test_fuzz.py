"""Whatever a file says, the checker gives a verdict: no crash, no hang, no number of the wrong kind slips through."""

from __future__ import annotations

import copy
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.certificate import check
from tests.exact.drafts import Draft, report, write

SCALARS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    10**15 - 1,
    -(10**15),
    "",
    "0x0.0p+0",
    "-0x0.0p+0",
    "nan",
    "3f800000",
    "relu",
    "\ud800",
]
odd = st.recursive(
    st.sampled_from(SCALARS) | st.integers(-9, 9) | st.text(max_size=9) | st.floats(width=32).map(float.hex),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["axis", "cell", "kind", "x"]), inner),
    max_leaves=5,
)


def places(value, way=()) -> list[tuple]:
    """Paths to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, child in inner for place in places(child, (*way, key)))]


def put(value, way: tuple, new) -> None:
    for key in way[:-1]:
        value = value[key]
    value[way[-1]] = new


def mutated(draft: Draft, seed: int, new) -> Draft:
    """The draft with one value replaced."""
    rng = random.Random(seed)
    changed = copy.deepcopy(draft)
    value = rng.choice([changed.parent, changed.family, *changed.members, *changed.certificates])
    put(value, rng.choice(places(value)[1:]), new)
    return changed


def safe_to_seal(draft: Draft) -> bool:
    cells = draft.family.get("cells")
    return isinstance(cells, list) and all(type(k) is int and 0 <= k < 9 for k in cells)


@settings(deadline=None, max_examples=250)
@given(st.integers(0, 10**6), odd)
def test_any_value_anywhere_gives_a_verdict(honest, tmp_path_factory, seed, new):
    changed = mutated(Draft.of(honest), seed, new)
    if safe_to_seal(changed):
        found = report(write(changed.sealed(), tmp_path_factory.mktemp("fuzz") / "bundle"))
        assert found["outcome"] in {"accepted", "rejected"}
        assert (found["proved"] is None) == (found["outcome"] == "rejected")
        assert all(isinstance(f["why"], str) and f["why"] for f in found["findings"])


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60) | odd.map(lambda value: json.dumps(value).encode() + b"\n"))
def test_any_bytes_are_json_or_refused(data):
    try:
        field = check.read_json(data, "x")
    except check.Rejected as verdict:
        assert all(isinstance(text, str) for text in verdict.args)
    else:
        assert check.canonical(field.value) == data


@settings(deadline=None, max_examples=300)
@given(odd, st.sampled_from(["items", "number", "text", "record"]))
def test_any_value_is_of_the_asked_form_or_refused(value, form):
    field = check.Field(value, "x")
    try:
        result = getattr(field, form)()
    except check.Rejected as verdict:
        assert verdict.args[0] == "x"
    else:
        assert form != "number" or (type(result) is float and result.hex() == value)
        assert form != "record" or value == {}
        assert form != "items" or [entry.value for entry in result] == value
