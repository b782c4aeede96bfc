"""Folders that the tests of the certificates share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where honest bundles are compressed, once for each worker."""
    return tmp_path_factory.mktemp("bases")
