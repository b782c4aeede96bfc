"""The mutation engine: every kind of lie, in thousands of instances, is rejected by both checkers or shown harmless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import mutations
from tests.certificates.bases import BASES, base
from tests.certificates.both import judge
from tests.certificates.mutations.engine import KINDS, run
from tests.certificates.mutations.kinds import Kind, Sweep
from tests.certificates.opened import store
from tests.certificates.truth import doubts

ATTEMPTS = 8  # for each kind and base


@pytest.mark.parametrize("name", BASES)
def test_the_honest_bundles_are_accepted_and_true(name: str, base_folder: Path, tmp_path: Path) -> None:
    bundle = store(base(name, base_folder).written(), tmp_path / "bundle")
    assert judge(bundle).accepted
    assert doubts(bundle) == []


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS])
def test_no_mutant_fools_both_checkers(kind: Kind | Sweep, base_folder: Path, tmp_path: Path) -> None:
    """`run` fails where the checkers disagree, reject for another reason, or accept what is not shown true."""
    tally = run(kind, tmp_path, base_folder, ATTEMPTS)
    assert tally.instances > 0
    assert tally.rejected + tally.source + tally.harmless == tally.instances
    if not kind.topics:  # kinds that change no meaning
        assert tally.harmless == tally.instances


def test_kinds_are_many_and_have_different_names() -> None:
    names = [kind.name for kind in KINDS]
    assert len(names) == len(set(names))
    assert len(names) >= 60


def test_the_table(tmp_path: Path) -> None:
    assert mutations.main(["--out", str(tmp_path), "--attempts", "1", "--kinds", "3"]) == 0
    record = json.loads((tmp_path / "mutations.json").read_text())
    assert record["kinds"] == len(record["by_kind"]) == 3
    assert record["instances"] == record["rejected"] + record["source"] + record["harmless"] > 0
    table = (tmp_path / "mutations.md").read_text()
    assert all(f"| {kind.name} |" in table for kind in KINDS[:3])
    assert str(tmp_path) not in table
