"""Clusters of two worker processes give the digest that this machine's processes give, also if a worker is lost."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import slicer
from dispatcher.errors import UnusableInput
from slicer.family import cluster, pipeline
from tests.family import faults
from tests.onnx_files import write_onnx
from tests.random_networks import chain

CELLS, EFFORT = 7, 40
OPTIONS = slicer.Options(cells=CELLS, effort=EFFORT, jobs=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("model") / "net.onnx", chain(np.random.default_rng(11), [3, 16, 16, 2]))


@pytest.fixture(scope="module")
def expected(model, tmp_path_factory) -> str:
    return slicer.compress(model, "0:1", tmp_path_factory.mktemp("loky") / "bundle", OPTIONS).digest


def _options(backend: str, address: str) -> slicer.Options:
    return slicer.Options(cells=CELLS, effort=EFFORT, backend=backend, address=address)


@pytest.fixture(scope="module")
def dask_address():
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    # Dask gives up a task with the second worker that it kills, not the fourth, so that the tests see that sooner.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as local,
    ):
        yield local.scheduler_address


@pytest.fixture(scope="module")
def ray_address():
    ray = pytest.importorskip("ray")
    # Not a folder of pytest's: their names are too long for the names of Ray's sockets.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        ray.init(num_cpus=2, include_dashboard=False, logging_level=50, log_to_driver=False, _temp_dir=folder)
        yield "auto"
        ray.shutdown()


@pytest.fixture(params=["dask", "ray"])
def options(request) -> slicer.Options:
    return _options(request.param, request.getfixturevalue(f"{request.param}_address"))


def test_a_cluster_gives_the_same_digest(model, expected, options, tmp_path):
    assert slicer.compress(model, "0:1", tmp_path / "bundle", options).digest == expected


def test_the_loss_of_a_worker_changes_nothing(model, expected, options, tmp_path, monkeypatch):
    (tmp_path / "marks").mkdir()
    fault = functools.partial(faults.Killing, folder=tmp_path / "marks", cells=frozenset({3}))
    monkeypatch.setattr(pipeline, "_Search", fault)
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", options)
    assert (tmp_path / "marks" / "3").exists()
    assert bundle.digest == expected


def test_a_poisoned_cell_costs_its_own_units_only(model, dask_address, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_Search", faults.Crashing)
    options = slicer.Options(cells=2, effort=EFFORT, backend="dask", address=dask_address)
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", options)
    assert [count.gate for count in bundle.counts] == [
        "accepted",
        "given up: its search killed the worker process twice",
    ]


def test_workers_with_another_tool_are_refused(model, options, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "tool_digest", lambda: "another")
    with pytest.raises(UnusableInput, match="expected workers with the netslicer, Python and numpy of this process"):
        slicer.compress(model, "0:1", tmp_path / "bundle", options)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_joins_with_another_tool_is_refused_too():
    _, outcome = cluster._attempt("another", 3, abs, (-1,))
    assert isinstance(outcome.error, UnusableInput)
    assert cluster._attempt(cluster.tool_digest(), 3, abs, (-1,)) == (3, 1)


def test_workers_with_several_threads_are_refused(model, tmp_path):
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(protocol="tcp", silence_logs=50, **settings) as local:
        options = _options("dask", local.scheduler_address)
        with pytest.raises(UnusableInput, match="expected Dask workers with one thread each"):
            slicer.compress(model, "0:1", tmp_path / "bundle", options)


def test_nobody_at_the_address_is_one_clear_error(model, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT", 1)
    with pytest.raises(
        UnusableInput, match=r"expected a cluster at tcp://127.0.0.1:1, got \w+: .*is the cluster running"
    ):
        slicer.compress(model, "0:1", tmp_path / "bundle", _options("dask", "tcp://127.0.0.1:1"))


def test_a_backend_that_is_not_installed_is_one_clear_error(model, tmp_path, monkeypatch):
    for backend, module in (("dask", "distributed"), ("ray", "ray")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UnusableInput, match=rf"pip install 'netslicer\[{backend}\]'"):
            slicer.compress(model, "0:1", tmp_path / "bundle", _options(backend, "anywhere:1"))


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ({"backend": "dask"}, "expected the address of a running cluster with --backend dask"),
        ({"address": "tcp://host:8786"}, "expected no address with --backend loky"),
        ({"backend": "threads"}, "expected loky, dask, ray, got 'threads'"),
    ],
)
def test_options_that_do_not_fit_are_one_clear_error(words, fragment):
    with pytest.raises(UnusableInput, match=fragment):
        slicer.Options(**words)
