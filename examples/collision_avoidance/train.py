"""Compute the table, train the network on it, write ONNX, domain and sample of the table.

``python -m examples.collision_avoidance.train`` from the root of the checkout; takes about two minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from examples.collision_avoidance.encounter import ADVISORIES, Array, cost_table
from examples.collision_avoidance.flight import fly, silent
from examples.collision_avoidance.table import (
    COST_CAP,
    INPUTS,
    LOWER,
    UPPER,
    agreement,
    excess,
    interpolate,
    sample_states,
)
from examples.export import Scaling, mlp_model, write_columns, write_domain, write_model
from examples.training import fit_regressor

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "slicer" / "demo"

HIDDEN = (40,) * 6
INPUT_SCALING = Scaling(centre=(LOWER + UPPER) / 2, scale=(UPPER - LOWER) / 2)  # to [−1, 1]
OUTPUT_SCALING = Scaling(centre=np.full(5, COST_CAP / 2), scale=np.full(5, COST_CAP / 2))  # from [−1, 1]


def train(table: NDArray[np.float32]) -> onnx.ModelProto:
    """The advisory network, trained on states of which half lie nearer than the domain's uniform ones."""
    rng = np.random.default_rng(0)
    states = np.concatenate([sample_states(300_000, rng), sample_states(300_000, rng, nearness=1.5)])
    targets = OUTPUT_SCALING.normalise(excess(interpolate(table, states)))
    model = fit_regressor(
        INPUT_SCALING.normalise(states),
        targets,
        hidden=HIDDEN,
        schedule=((20, 2e-3), (20, 7e-4), (20, 2e-4)),
        decay=0.15,
        batch_size=512,
        seed=0,
    )
    return mlp_model(
        model.coefs_, model.intercepts_, inputs=INPUT_SCALING, outputs=OUTPUT_SCALING, name="collision_avoidance"
    )


def sample(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """A thousand random states with their costs ``[1000, 10]``, the last hundred at the highest speeds."""
    states = sample_states(1000, np.random.default_rng(3)).astype(np.float32)
    states[-100:, 3:] = UPPER[3:]
    return np.concatenate([states, interpolate(table, states.astype(np.float64))], axis=1)


def report(model: onnx.ModelProto, table: NDArray[np.float32]) -> None:
    """Print how the network compares with its table on fresh states and in flight."""
    network = ReferenceEvaluator(model)

    def scores(states: Array) -> NDArray[np.float32]:
        output: NDArray[np.float32] = network.run(None, {"input": states.astype(np.float32)})[0]
        return output

    states = sample_states(200_000, np.random.default_rng(1))
    costs = interpolate(table, states)
    error = scores(states) - excess(costs)
    print(f"capped excess cost: root mean square error {np.sqrt(np.mean(error**2)):.3f} of {COST_CAP:g}")
    print(f"200,000 fresh states: {agreement(scores(states), costs)}")
    for name, advisor in (("none", silent), ("table", lambda x: interpolate(table, x)), ("network", scores)):
        print(f"20,000 collision courses, advisor {name}: {fly(advisor, 20_000, seed=2)}")


def main() -> None:
    """Write the example's files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write here instead of over the committed files")
    out = parser.parse_args().out
    models = [HERE / "collision_avoidance.onnx", DEMO / "collision_avoidance.onnx"]
    domains = [HERE / "domain.csv", DEMO / "collision_avoidance.csv"]
    if out:
        out.mkdir(parents=True, exist_ok=True)
        models, domains = [out / "collision_avoidance.onnx"], [out / "domain.csv"]
    table = cost_table()
    model = train(table)
    write_model(model, *models)
    write_domain(LOWER, UPPER, *domains)
    write_columns((*INPUTS, *ADVISORIES), sample(table), (out or HERE) / "sample.csv")
    report(model, table)


if __name__ == "__main__":
    main()
