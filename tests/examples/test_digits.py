"""The digits classifier is as good as its README states. Its images come with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="the digits images come with scikit-learn (extra: train)")
from examples.digits import train

HERE = Path(__file__).parents[2] / "examples" / "digits"


def test_accuracy_is_as_stated() -> None:
    images, held_out, labels, held_out_labels = train.split()
    model = onnx.load(HERE / "digits.onnx")
    assert len(held_out) == 450
    assert train.accuracy(model, held_out, held_out_labels) == pytest.approx(437 / 450, abs=1 / 450)
    assert train.accuracy(model, images, labels) == pytest.approx(0.993, abs=0.002)
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    assert "97.1 % on the 450 held-out images (437 right)" in readme


def test_most_weights_are_zero_as_stated() -> None:
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(HERE / "digits.onnx").graph.initializer]
    assert sum(np.count_nonzero(array) for array in arrays if array.ndim == 2) == 758
    assert "758 of 3,392 weights" in (HERE / "README.md").read_text(encoding="utf-8")


def test_images_lie_in_the_domain() -> None:
    images = np.concatenate(train.split()[:2])
    lower, upper = np.loadtxt(HERE / "domain.csv", delimiter=",", skiprows=1).T
    assert images.shape == (1797, 64)
    assert ((images >= lower) & (images <= upper)).all()


@settings(deadline=None, max_examples=100)
@given(st.floats(-2, 2, width=32), st.floats(0, 1, width=32), st.floats(-2, 2))
def test_soften_is_the_proximal_step(weight: float, threshold: float, other: float) -> None:
    """It minimises ½·(w − v)² + threshold·|w| over w: no other number does better."""
    moved = np.array([[weight]], np.float32)
    train.soften([moved], threshold)

    def objective(candidate: float) -> float:
        return 0.5 * (candidate - weight) ** 2 + threshold * abs(candidate)

    assert objective(float(moved[0, 0])) <= objective(other) + 1e-6


def test_training_twice_gives_the_same_bytes() -> None:
    images, _, labels, _ = train.split()
    first, again = (train.train(images, labels, epochs=2).SerializeToString(deterministic=True) for _ in range(2))
    assert first == again


def test_the_penalty_can_be_left_out() -> None:
    images, _, labels, _ = train.split()
    left = []
    for shrink in (0.0, train.SHRINK):
        arrays = [
            onnx.numpy_helper.to_array(tensor)
            for tensor in train.train(images, labels, epochs=3, shrink=shrink).graph.initializer
        ]
        left.append([int(np.count_nonzero(array)) for array in arrays if array.ndim == 2])
    assert left[0] == [2048, 1024, 320]
    assert sum(left[1]) < sum(left[0])
