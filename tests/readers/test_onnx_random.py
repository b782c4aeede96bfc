"""Random models: what is read computes the model's function, within the proved rounding bound of other executions."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, assume, given, settings
from onnx.reference import ReferenceEvaluator

from dispatcher.interpret import eval32

from .models import INPUT, read
from .random_models import random_models
from .rounding import allowed_distance, fan_in

POINTS = 4
ALL, NONE = (
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
)


def run_reference(proto, points):
    """Outputs of onnx.reference, point by point."""
    evaluator = ReferenceEvaluator(proto)
    return [evaluator.run(None, {INPUT: point})[0] for point in points]


def run_onnxruntime(proto, points, level):
    """Outputs of onnxruntime, point by point."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = level, 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {INPUT: point})[0] for point in points]


@pytest.mark.parametrize("runtime", ["reference", "plain", "optimised"])
@given(case=random_models())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_network_is_the_model(case, runtime):
    """|eval32 − any other execution| is at most twice the noise radius of CERTIFICATE.md §4.

    onnxruntime computes batch normalisation and scaled products with constants of its own, and its optimiser does so
    across operators: every operation then gets the roundings of a whole dense layer and four for its constants.
    """
    assume(runtime in case.oracles)
    network = read(case.proto)
    points = np.random.default_rng(0).uniform(-1, 1, (POINTS, *case.shape)).astype(np.float32)
    flat = points.reshape(POINTS, -1)
    if runtime == "reference":
        results = run_reference(case.proto, points)
    else:
        results = run_onnxruntime(case.proto, points, NONE if runtime == "plain" else ALL)
    extra = fan_in(network.layers) + 4 if case.fused or runtime == "optimised" else 0
    distance = np.abs(eval32(network.layers, flat) - np.stack([result.reshape(-1) for result in results]))
    assert (distance <= allowed_distance(network.layers, flat, extra)).all()
