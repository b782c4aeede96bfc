"""Bundles that several tests read; forgeries work on copies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.random_networks import chain
from tests.report.kit import bundle_of, reasons_network


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five cells over three inputs."""
    return bundle_of(chain(np.random.default_rng(3), [3, 16, 16, 2]), tmp_path_factory.mktemp("plain"), "0:1", 5)


@pytest.fixture(scope="session")
def reasons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cell with a unit for each reason."""
    return bundle_of(reasons_network(), tmp_path_factory.mktemp("reasons"), "-1:1", 1)


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine cells of a network with one input."""
    return bundle_of(chain(np.random.default_rng(3), [1, 12, 12, 1]), tmp_path_factory.mktemp("line"), "-2:2", 9)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cell from which nothing is removed."""
    return bundle_of(chain(np.random.default_rng(3), [2, 8, 8, 2]), tmp_path_factory.mktemp("whole"), "-1:1", 1, 1)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    """A function that copies a bundle to where it may be changed."""

    def copied(source: Path, name: str = "copy") -> Path:
        return Path(shutil.copytree(source, tmp_path / name))

    return copied
