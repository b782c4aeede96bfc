"""What every benchmark leaves: a JSON record and a page, with the machine it ran on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def machine() -> str:
    """The machine in a few words."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}"


def write_record(out: Path, name: str, record: Mapping[str, object], page: Sequence[str]) -> None:
    """Write ``name.json`` and ``name.md`` to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    (out / f"{name}.md").write_text("\n".join(page) + "\n")
