"""One small bundle from the real pipeline: two inputs, two hidden layers, four cells, splits and removals."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from slicer.box import Box
from slicer.family.compress import compress
from slicer.family.options import Options
from tests.exact.drafts import Draft
from tests.onnx_files import write_onnx
from tests.random_networks import chain


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """The bundle's directory; not to be changed."""
    folder = tmp_path_factory.mktemp("honest")
    model = write_onnx(folder / "model.onnx", chain(np.random.default_rng(5), [2, 6, 6, 2]))
    domain = Box.outward(np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
    return compress(model, domain, folder / "bundle", Options(cells=4, cuts="uniform", effort=50, jobs=1)).path


@pytest.fixture(scope="session")
def _read(honest):
    return Draft.of(honest)


@pytest.fixture
def draft(_read):
    """The bundle's values, to be changed."""
    return copy.deepcopy(_read)
