"""Training with scikit-learn, reproducible: one BLAS thread, explicit seeds, an explicit learning-rate schedule."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits


def fit_regressor(
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    hidden: tuple[int, ...],
    schedule: Sequence[tuple[int, float]],
    decay: float,
    batch_size: int,
    seed: int,
) -> MLPRegressor:
    """A ReLU network fitted by Adam to the mean squared error.

    Parameters
    ----------
    features, targets:
        ``[n_rows, n_in]`` and ``[n_rows, n_out]`` (or ``[n_rows]``), both about 1 in magnitude.
    hidden:
        Widths of the hidden layers.
    schedule:
        Epochs and learning rate of each phase; Adam starts afresh in each.
    decay:
        scikit-learn's ``alpha``: the loss of a batch has the penalty ``alpha / (2 · batch_size) · Σ w²``.
    """
    model = MLPRegressor(
        hidden_layer_sizes=hidden,
        alpha=decay,
        batch_size=batch_size,
        random_state=seed,
        warm_start=True,
        n_iter_no_change=10**6,  # the schedule alone says when to stop
    )
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # raised at the end of every phase, by design
        for epochs, rate in schedule:
            model.set_params(max_iter=epochs, learning_rate_init=rate).fit(features, targets)
            print(f"  {epochs} epochs at {rate:g}: loss {model.loss_:.6f}", flush=True)
    return model
