"""The committed models are what their READMEs say: valid ONNX of the stated shape, finite on their whole domain."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Stated:
    """What the table in examples/README.md says about one example."""

    name: str
    widths: tuple[int, ...]
    operators: tuple[str, ...]

    @property
    def model(self) -> onnx.ModelProto:
        return onnx.load(EXAMPLES / self.name / f"{self.name}.onnx")

    @property
    def domain(self) -> np.ndarray:
        return np.loadtxt(EXAMPLES / self.name / "domain.csv", delimiter=",", skiprows=1, dtype=np.float32)


def layers(count: int) -> tuple[str, ...]:
    """Operators of ``count`` dense layers with ReLUs in between."""
    return ("Gemm", "Relu") * (count - 1) + ("Gemm",)


STATED = [
    Stated("collision_avoidance", (5, 40, 40, 40, 40, 40, 40, 5), ("Sub", "Div", *layers(7), "Mul", "Add")),
    Stated("digits", (64, 32, 32, 10), ("Div", *layers(3))),
    Stated("battery", (5, 24, 24, 24, 1), ("Sub", "Div", *layers(4), "Mul", "Add")),
]


@pytest.fixture(params=STATED, ids=lambda stated: stated.name)
def stated(request: pytest.FixtureRequest) -> Stated:
    return request.param


def weights(model: onnx.ModelProto) -> list[np.ndarray]:
    """Weight matrices ``[n_out, n_in]`` in the order of the layers."""
    arrays = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    return [array for array in arrays if array.ndim == 2]


def test_is_a_valid_model_of_the_stated_operators(stated: Stated) -> None:
    onnx.checker.check_model(stated.model, full_check=True)
    assert stated.model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in stated.model.opset_import] == [("", 13)]
    assert tuple(node.op_type for node in stated.model.graph.node) == stated.operators
    names = [node.name for node in stated.model.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_has_the_stated_widths(stated: Stated) -> None:
    shapes = [weight.shape for weight in weights(stated.model)]
    assert shapes == [(n_out, n_in) for n_in, n_out in zip(stated.widths, stated.widths[1:], strict=False)]


def test_all_numbers_are_float32_of_ordinary_size(stated: Stated) -> None:
    for tensor in stated.model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    assert max(float(np.abs(weight).max()) for weight in weights(stated.model)) < 10.0


def test_domain_has_a_row_per_input(stated: Stated) -> None:
    path = EXAMPLES / stated.name / "domain.csv"
    assert path.read_text(encoding="utf-8").splitlines()[0] == "lower,upper"
    assert stated.domain.shape == (stated.widths[0], 2)
    assert (stated.domain[:, 0] < stated.domain[:, 1]).all()


def test_normalised_inputs_stay_in_unit_size(stated: Stated) -> None:
    """The domain's corners leave the normalisation nodes within [−1, 1], up to rounding."""
    model = stated.model
    first = next(node for node in model.graph.node if node.op_type == "Gemm")
    del model.graph.node[list(model.graph.node).index(first) :]
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(first.input[0], 1, ["batch", stated.widths[0]]))
    corners = ReferenceEvaluator(model).run(None, {"input": stated.domain.T})[0]
    np.testing.assert_allclose(corners[1], 1.0, rtol=1e-6)
    assert (np.abs(corners) <= 1.0 + 1e-6).all()


def test_outputs_are_finite_all_over_the_domain(stated: Stated) -> None:
    rng = np.random.default_rng(0)
    lower, upper = stated.domain.T
    uniform = rng.random((2000, len(lower)))
    uniform[:1000] = np.round(uniform[:1000])  # corners
    points = np.clip((lower + uniform * (upper - lower)).astype(np.float32), lower, upper)
    outputs = ReferenceEvaluator(stated.model).run(None, {"input": points})[0]
    assert outputs.shape == (2000, stated.widths[-1])
    assert outputs.dtype == np.float32
    assert np.isfinite(outputs).all()
    assert (outputs.std(axis=0) > 0).all()  # no output is stuck


def test_readme_states_shape_and_units(stated: Stated) -> None:
    shape = "-".join(str(width) for width in stated.widths)
    relus = sum(stated.widths[1:-1])
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    row = next(line for line in table.splitlines() if f"({stated.name}/)" in line)
    assert f" {shape} " in row
    assert f" {relus} " in row
    assert f"{shape}, {relus} ReLUs" in (EXAMPLES / stated.name / "README.md").read_text(encoding="utf-8")


def test_committed_files_are_small() -> None:
    committed = [path for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    sizes = {path: path.stat().st_size for path in committed}
    assert max(sizes.values()) < 200_000
    assert sum(sizes.values()) < 600_000


@pytest.mark.parametrize(
    ("packaged", "original"),
    [("collision_avoidance.onnx", "collision_avoidance.onnx"), ("collision_avoidance.csv", "domain.csv")],
)
def test_demo_data_are_the_example(packaged: str, original: str) -> None:
    content = resources.files("slicer.demo").joinpath(packaged).read_bytes()
    assert content == (EXAMPLES / "collision_avoidance" / original).read_bytes()
