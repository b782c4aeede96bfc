"""The benchmarks run, small: what they report on a tiny network is complete and says that everything agreed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dispatcher.host import host_compiler
from tests.benchmarks import acasxu
from tests.onnx_files import write_onnx
from tests.random_networks import chain


@pytest.mark.skipif(host_compiler() is None, reason="no C compiler on this machine")
def test_the_whole_way_benchmark(tmp_path, capsys):
    model = write_onnx(tmp_path / "tiny.onnx", chain(np.random.default_rng(1), [3, 12, 12, 2]))
    arguments = [
        "--domain",
        "0:1",
        "--cells",
        "1",
        "6",
        "--effort",
        "40",
        "--points",
        "20000",
        "--rounding-boxes",
        "50",
    ]
    assert acasxu.main([str(model), *arguments, "--name", "tiny", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "tiny.json").read_text())
    one, six = record["runs"]
    for run in (one, six):
        assert run["accepted"] is True
        assert run["different"] == run["failed"] == 0
        assert run["points"] >= 20_000
        assert run["family_skipping_mac"] <= run["mac_mean"]
    assert six["mac_mean"] <= one["mac_mean"] <= one["parent_mac"]
    rounding = record["rounding"]
    proved = [rounding[name] for name in ("proved_there", "affine_refined", "affine_domain", "worst_case")]
    assert 0 < rounding["seen"] <= proved[0]
    assert proved == sorted(proved)
    page = (tmp_path / "tiny.md").read_text()
    assert "outputs that differ; calls that failed | 0; 0 | 0; 0 |" in page
    assert str(tmp_path) not in page
