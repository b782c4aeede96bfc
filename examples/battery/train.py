"""Train the state-of-charge estimator and write ONNX and domain: ``python -m examples.battery.train``.

Run from the root of the checkout; takes about a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from examples.battery.circuit import LOWER, UPPER, Record, simulate
from examples.export import Scaling, mlp_model, write_domain, write_model
from examples.training import fit_regressor

HERE = Path(__file__).parent

HIDDEN = (24, 24, 24)
INPUT_SCALING = Scaling(centre=(LOWER + UPPER) / 2, scale=(UPPER - LOWER) / 2)  # to [−1, 1]
OUTPUT_SCALING = Scaling(centre=[0.5], scale=[0.5])  # from [−1, 1] to a charge of 0 to 1


def train(record: Record) -> onnx.ModelProto:
    """The estimator: five readings to the state of charge, 0 (empty) to 1 (full)."""
    targets = OUTPUT_SCALING.normalise(record.charge[:, None])
    model = fit_regressor(
        INPUT_SCALING.normalise(record.readings),
        targets.ravel(),
        hidden=HIDDEN,
        schedule=((20, 2e-3), (20, 7e-4), (20, 2e-4)),
        decay=0.01,
        batch_size=256,
        seed=0,
    )
    return mlp_model(model.coefs_, model.intercepts_, inputs=INPUT_SCALING, outputs=OUTPUT_SCALING, name="battery")


def errors(model: onnx.ModelProto, record: Record) -> NDArray[np.float64]:
    """Estimated minus true state of charge ``[n]``."""
    estimate = ReferenceEvaluator(model).run(None, {"input": record.readings.astype(np.float32)})[0]
    error: NDArray[np.float64] = estimate[:, 0] - record.charge
    return error


def main() -> None:
    """Write the example's files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="write here instead of over the committed files")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    model = train(simulate(1000, 7200, every=30, seed=0))
    write_model(model, out / "battery.onnx")
    write_domain(LOWER, UPPER, out / "domain.csv")
    error = errors(model, simulate(200, 7200, every=10, seed=1))
    print(f"200 fresh cells for two hours: root mean square error {np.sqrt(np.mean(error**2)):.4f} of full charge,")
    print(f"  99 % within {np.quantile(np.abs(error), 0.99):.4f}, worst {np.abs(error).max():.4f}")


if __name__ == "__main__":
    main()
