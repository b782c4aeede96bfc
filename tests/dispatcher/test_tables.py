"""Tables on disk: what is written reads back as the same float32 numbers, what is no table is refused with its line."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import UnusableInput
from dispatcher.points import read_table, table_bytes, table_format

numbers = st.floats(width=32)


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from([".csv", ".npy"]))
def test_round_trip(tmp_path_factory, rows, form):
    values = np.array(rows, np.float32)
    path = tmp_path_factory.mktemp("tables") / f"table{form}"
    path.write_bytes(table_bytes(values, form))
    assert np.array_equal(read_table(path).astype(np.float32), values, equal_nan=True)


def test_the_form_of_a_csv_file():
    values = np.array([[0.1, -0.0], [1e-45, 3.4028235e38], [np.inf, np.nan]], np.float32)
    assert table_bytes(values, ".csv") == b"0.1,-0.0\n1e-45,3.4028235e+38\ninf,nan\n"
    assert table_bytes(values[0], ".csv") == b"0.1,-0.0\n"


def csv_table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    return read_table(path)


READABLE = {
    "plain": ("1,2\n3,4\n", [[1, 2], [3, 4]]),
    "header": ("speed,angle\n1,2\n", [[1, 2]]),
    "quoted header": ('"speed, in m/s","angle"\n1,2\n', [[1, 2]]),
    "byte order mark": ("\ufeff1,2\n", [[1, 2]]),
    "windows lines": ("a,b\r\n1,2\r\n", [[1, 2]]),
    "no newline at the end": ("1,2", [[1, 2]]),
    "spaces and empty lines": ("\n 1 ,\t2\n\n3,4\n", [[1, 2], [3, 4]]),
    "exponents": ("-1e-3,+2E5\n", [[-0.001, 200000]]),
    "header alone": ("a,b\n", np.empty((0, 2)).tolist()),
    "infinite": ("inf,-inf\n", [[np.inf, -np.inf]]),
}


@pytest.mark.parametrize(("text", "values"), READABLE.values(), ids=READABLE)
def test_readable_csv(tmp_path, text, values):
    assert csv_table(tmp_path, text).tolist() == values


def test_nan_is_a_number_and_no_header(tmp_path):
    assert np.isnan(csv_table(tmp_path, "nan,nan\n1,2\n")).tolist() == [[True, True], [False, False]]


UNREADABLE = {
    "empty": ("", "table.csv: expected rows of numbers, got an empty file"),
    "a typing error in the first line": ("1,2O\n1,2\n", r"line 1, column 2: expected a number, got '2O'"),
    "a typing error later": ("a,b\n1,2\n1,x\n", r"line 3, column 2: expected a number, got 'x'"),
    "a second header": ("a,b\nc,d\n", r"line 2, column 1: expected a number, got 'c'"),
    "an empty field": ("1,2\n1,\n", r"line 2, column 2: expected a number, got ''"),
    "too few": ("1,2\n1\n", "line 2: expected 2 numbers as in the first line, got 1"),
    "too many": ("1,2\n1,2,3\n", "line 2: expected 2 numbers as in the first line, got 3"),
    "semicolons": ("1;2\n3;4\n", r"line 2, column 1: expected a number, got '3;4'"),
    "underscore": ("1,2\n1_0,2\n", r"line 2, column 1: expected a number, got '1_0'"),
    "an unending field": ('"' + "1" * 200_000 + "\n", "expected comma-separated numbers: field larger"),
}


@pytest.mark.parametrize(("text", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_csv(tmp_path, text, reason):
    with pytest.raises(UnusableInput, match=reason):
        csv_table(tmp_path, text)


def test_csv_must_be_utf_8(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"1,\xff\n")
    with pytest.raises(UnusableInput, match="expected comma-separated numbers"):
        read_table(tmp_path / "table.csv")


def saved(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_npy_of_any_shape_and_type(tmp_path):
    path = tmp_path / "table.NPY"
    for array in (np.zeros((0, 3), np.float32), np.arange(3), np.ones((2, 2), ">f8", order="F")):
        path.write_bytes(saved(array))
        read = read_table(path)
        assert read.dtype == array.dtype
        assert np.array_equal(read, array)


BROKEN = {
    "empty": b"",
    "garbage": b"no array at all",
    "truncated": saved(np.zeros((100, 3)))[:500],
    "header alone": saved(np.zeros((100, 3)))[:60],
    "objects": saved(np.array([{}], object), allow_pickle=True),
    "a huge shape": saved(np.zeros((100, 3))).replace(b"(100, 3), }        ", b"(10000000000, 3), }"),
    "an archive": b"PK\x03\x04",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_npy(tmp_path, content):
    path = tmp_path / "table.npy"
    path.write_bytes(content)
    with pytest.raises(UnusableInput, match=r"expected a .npy file of numbers"):
        read_table(path)


def test_missing_files_and_other_endings(tmp_path):
    with pytest.raises(UnusableInput, match=r"table.csv: cannot read it: No such file"):
        read_table(tmp_path / "table.csv")
    with pytest.raises(UnusableInput, match=r"table.npy: cannot read it: No such file"):
        read_table(tmp_path / "table.npy")
    with pytest.raises(UnusableInput, match=r"expected a file name that ends with .csv or .npy"):
        table_format(tmp_path / "table.txt")
