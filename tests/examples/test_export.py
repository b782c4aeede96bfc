"""The exported graph computes the perceptron it was given, and its files keep every float32 exactly."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from examples.export import Scaling, mlp_model, write_columns, write_domain, write_model


def perceptron(widths: list[int], seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random weights ``[n_in, n_out]`` and biases."""
    rng = np.random.default_rng(seed)
    shapes = list(itertools.pairwise(widths))
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    return weights, [rng.normal(size=n_out).astype(np.float32) for _, n_out in shapes]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(0, 1000), st.booleans(), st.booleans())
def test_model_computes_the_perceptron(widths: list[int], seed: int, centred: bool, scaled: bool) -> None:
    rng = np.random.default_rng(seed)
    weights, biases = perceptron(widths, seed)
    inputs = Scaling(scale=rng.uniform(1, 9, widths[0]), centre=rng.normal(size=widths[0]) if centred else None)
    outputs = Scaling(scale=rng.uniform(1, 9, widths[-1]), centre=rng.normal(size=widths[-1])) if scaled else None
    points = rng.normal(size=(20, widths[0])).astype(np.float32)
    got = ReferenceEvaluator(mlp_model(weights, biases, inputs=inputs, outputs=outputs, name="test")).run(
        None, {"input": points}
    )[0]
    values = inputs.normalise(points.astype(np.float64)).astype(np.float64)
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        values = np.maximum(values @ weight + bias, 0)
    values = values @ weights[-1] + biases[-1]
    expected = values if outputs is None else values * outputs.scale + outputs.centre
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        model = mlp_model(*perceptron([3, 4, 2], 0), inputs=Scaling(scale=np.ones(3)), name="test")
        write_model(model, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=5))
def test_columns_keep_every_bit(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("columns") / "values.csv"
    write_columns(["value"], np.array(values)[:, None], path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "value"
    np.testing.assert_array_equal(np.array(lines[1:], np.float32), np.array(values, np.float32))


def test_domain_is_a_row_of_lower_and_upper_per_input(tmp_path: Path) -> None:
    write_domain([0.0, -np.pi], [1.0, np.pi], tmp_path / "domain.csv")
    assert (tmp_path / "domain.csv").read_text(encoding="utf-8") == "lower,upper\n0.0,1.0\n-3.1415927,3.1415927\n"
