"""One byte string per value: the reader accepts exactly what the writer writes, and names what it refuses."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.encode import MAX_DEPTH, canonical_json, canonical_rows, digest, read_json
from dispatcher.errors import UnusableBundle

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_what_is_written_is_read(record):
    assert read_json(canonical_json({"value": record}), "x").mapping("value") == record


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=5), st.text(), st.lists(json_values, max_size=3))
def test_rows_are_written_like_a_list(record, key, rows):
    record.pop(key, None)
    assert canonical_rows(key, iter(rows), record) == canonical_json(record | {key: rows})


def test_the_canonical_form():
    assert canonical_json({"b": [1, "é"], "a": None}) == b'{"a":null,"b":[1,"\\u00e9"]}\n'


def test_the_digest_is_sha256_in_hex():
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


REFUSED = {
    "white space": (b'{"a": 1}\n', "different byte at offset 5"),
    "no newline": (b'{"a":1}', "different byte at offset 7"),
    "two newlines": (b'{"a":1}\n\n', "different byte at offset 8"),
    "key order": (b'{"b":1,"a":1}\n', "different byte at offset 2"),
    "a key twice": (b'{"a":1,"a":1}\n', "sorted and distinct keys"),
    "needless escape": (b'{"\\u0061":1}\n', "different byte at offset 2"),
    "capital escape": (b'{"\\u00E9":1}\n', "different byte at offset 6"),
    "minus zero": (b'{"a":-0}\n', "different byte at offset 5"),
    "float": (b'{"a":1.0}\n', "the number 1.0 is not an integer"),
    "exponent": (b'{"a":1e5}\n', "the number 1e5 is not an integer"),
    "nan": (b'{"a":NaN}\n', "the number NaN is not an integer"),
    "infinity": (b'{"a":-Infinity}\n', "the number -Infinity is not an integer"),
    "huge integer": (b'{"a":' + b"9" * 5000 + b"}\n", "expected canonical JSON"),
    "truncated": (b'{"a":1', "expected canonical JSON"),
    "two values": (b'{"a":1}{}\n', "expected canonical JSON"),
    "not ascii": ('{"é":1}\n'.encode(), "expected canonical JSON"),
    "byte order mark": (b'\xef\xbb\xbf{"a":1}\n', "expected canonical JSON"),
    "utf-16": ('{"a":1}\n'.encode("utf-16"), "expected canonical JSON"),
    "empty": (b"", "expected canonical JSON"),
    "no object": (b"[]\n", "expected an object, got a list"),
    "text": (b'"a"\n', "expected an object, got a text"),
    "nested just too deep": (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}\n", "at most 32 levels"),
    "nested far too deep": (b'{"a":' + b"[" * 10**6 + b"]" * 10**6 + b"}\n", "expected canonical JSON"),
    "brackets in a text before deep nesting": (
        b'{"a":"' + b"]" * 99 + b'","b":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}\n",
        "at most 32 levels",
    ),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused(content, reason):
    with pytest.raises(UnusableBundle, match=reason) as caught:
        read_json(content, "the/file")
    assert caught.value.where == "the/file"


def test_the_deepest_nesting_and_brackets_in_texts_are_read():
    deepest = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    assert read_json(b'{"a":' + deepest + b',"b":"' + b"[" * 99 + b'"}\n', "x").text("b") == "[" * 99


def test_reading_is_linear_in_the_length():
    texts = canonical_json({"weight": ["0123abcd" * 1000] * 600})  # 5 MB
    keys = canonical_json({str(key): [key, {}] for key in range(100_000)})
    start = time.perf_counter()
    read_json(texts, "x")
    read_json(keys, "x")
    assert time.perf_counter() - start < 10  # a fraction of a second; a quadratic reader would need hours


GETTERS = {
    "missing": (lambda fields: fields.text("z"), "f: z: expected this key, got nothing"),
    "text": (lambda fields: fields.text("one"), "f: one: expected a text, got an integer"),
    "integer": (lambda fields: fields.integer("yes", 0, 9), "f: yes: expected an integer, got a boolean"),
    "below": (lambda fields: fields.integer("one", 2, 9), "f: one: expected 2 to 9, got 1"),
    "above": (lambda fields: fields.integer("one", -9, 0), "f: one: expected -9 to 0, got 1"),
    "huge": (lambda fields: fields.integer("huge", 0, 9), "f: huge: expected 0 to 9, got an integer of 13288 bits"),
    "boolean": (lambda fields: fields.boolean("one"), "f: one: expected a boolean, got an integer"),
    "items": (lambda fields: fields.items("one"), "f: one: expected a list, got an integer"),
    "texts": (lambda fields: fields.texts("list"), "f: list: expected a list of texts"),
    "integers": (lambda fields: fields.integers("list", 3), "f: list: expected integers from 0 to 2"),
    "booleans": (lambda fields: fields.integers("flags", 3), "f: flags: expected integers from 0 to 2"),
    "increasing": (lambda fields: fields.integers("list", 9, increasing=True), "f: list: expected strictly increasing"),
    "record": (lambda fields: fields.record("list"), "f: list: expected an object, got a list"),
    "records": (lambda fields: list(fields.records("list")), r"f: list\[0\]: expected an object, got an integer"),
    "parsed": (lambda fields: fields.parsed("word", int), "f: word: invalid literal"),
    "done": (lambda fields: fields.done(), "f: unknown key 'flags'"),
}


@pytest.mark.parametrize(("get", "reason"), GETTERS.values(), ids=GETTERS)
def test_getters_name_the_path(get, reason):
    record = {"one": 1, "yes": True, "huge": 10**4000, "list": [3, 1], "flags": [True], "word": "w"}
    with pytest.raises(UnusableBundle, match=reason):
        get(read_json(canonical_json(record), "f"))


def test_done_passes_when_everything_was_taken():
    fields = read_json(b'{"a":{"b":null}}\n', "f")
    assert "a" in fields
    assert fields.record("a").where == "f: a"
    fields.done()
