"""Sanitizers find nothing, and no answer is inconsistent, on very many random and hostile inputs."""

from __future__ import annotations

from typing import get_args

import pytest

from dispatcher.emit_c99 import Layout, emit_c99
from tests.emit_c99.families import (
    DIGEST,
    chain_with_prefixes,
    epsilon_family,
    mixed_family,
    readout_family,
    wide_family,
)
from tests.emit_c99.host import HERE, NO_FMA, require, sources

SANITIZERS = ("-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
COUNT = 100_000  # for each of twenty programs
FAMILIES = {
    "wide": wide_family(0),
    "mixed": mixed_family(1),
    "prefixes": chain_with_prefixes(),
    "epsilon": epsilon_family(),
    "readouts": readout_family(),
}


def hostile(compiler, directory, *flags):
    """The program that throws inputs at the package ``directory / "net"``."""
    files = (f"-I{directory / 'net'}", HERE / "hostile.c", *sources(directory / "net"))
    return compiler.build(directory / "hostile", NO_FMA, *flags, *files, "-lm")


@pytest.mark.parametrize("layout", get_args(Layout))
@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("wide", "REJECT"),
        ("wide", "CLAMP"),
        ("mixed", "REJECT"),
        ("mixed", "PARENT"),
        ("prefixes", "CLAMP"),
        ("prefixes", "PARENT"),
        ("epsilon", "CLAMP"),
        ("epsilon", "PARENT"),
        ("readouts", "CLAMP"),
        ("readouts", "PARENT"),
    ],
)
def test_hostile_inputs(name, policy, layout, compiler, tmp_path):
    require(compiler, tmp_path, "sanitizers for addresses and undefined behaviour", *SANITIZERS)
    emit_c99(FAMILIES[name], DIGEST, tmp_path / "net", "net", layout, with_parent=True)
    code, said = compiler.run(hostile(compiler, tmp_path, *SANITIZERS, f"-DNET_POLICY=NET_{policy}"), str(COUNT), "1")
    accepted, refused = map(int, said.split())
    assert code == 0
    assert min(accepted, refused) > COUNT // 20, "inputs of both kinds"


def test_hostile_inputs_with_the_other_compiler(each_compiler, tmp_path):
    require(each_compiler, tmp_path, "sanitizers for addresses and undefined behaviour", *SANITIZERS)
    emit_c99(FAMILIES["wide"], DIGEST, tmp_path / "net", "net", "masked")
    assert each_compiler.run(hostile(each_compiler, tmp_path, *SANITIZERS), str(COUNT), "2")[0] == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("in[i] <= net_upper[i]", "in[i] <= 2.0f * net_upper[i]"),
        ("netslicer_none", "netslicer_none"),
        ("return NET_NAN;", "return NET_OK;"),
        ("for (size_t i = 0; i < NET_INPUTS; i++)", "for (size_t i = 0; i <= NET_INPUTS; i++)"),
    ],
    ids=["domain", "nothing", "nan", "bounds"],
)
def test_faults_are_found(before, after, compiler, tmp_path):
    require(compiler, tmp_path, "sanitizers for addresses and undefined behaviour", *SANITIZERS)
    emit_c99(FAMILIES["wide"], DIGEST, tmp_path / "net", "net", "masked")
    code = tmp_path / "net" / "net.c"
    code.write_text(code.read_text().replace(before, after))
    assert (compiler.run(hostile(compiler, tmp_path, *SANITIZERS), "20000", "1")[0] == 0) == (before == after)
