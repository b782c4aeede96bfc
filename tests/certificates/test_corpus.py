"""The corpus of hand-written cases: what must be accepted, what rejected and why, what is not even readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates.both import judge, judge_outside
from tests.certificates.corpus import FOLDERS, KEYS, Case, cases
from tests.certificates.truth import doubts

_HERE = Path(__file__).parent


def _named(*folders: str) -> list[object]:
    return [pytest.param(case, id=f"{case.folder}/{case.name}") for case in cases(*folders)]


@pytest.mark.parametrize("case", _named("accept"))
def test_honest_bundles_are_accepted_by_both(case: Case, tmp_path: Path) -> None:
    bundle = case.build(tmp_path / "bundle")
    attested = tuple(map(tuple, case.record.get("attested", ())))
    judgement = judge(bundle, trust=bool(attested))
    assert judgement.accepted, f"{case.record['why']}\n{judgement}"
    assert judgement.rigorous.attested == attested
    assert doubts(bundle) == []


@pytest.mark.parametrize("case", [case for case in cases("accept") if "attested" in case.record])
def test_a_solvers_word_counts_only_where_solvers_are_trusted(case: Case, tmp_path: Path) -> None:
    judgement = judge(case.build(tmp_path / "bundle"))
    assert not judgement.accepted
    for opinion in judgement.opinions.values():
        assert {finding.cell for finding in opinion.findings} == {cell for cell, _ in case.record["attested"]}
        assert all("a solver's word counts only" in finding.why for finding in opinion.findings)


@pytest.mark.parametrize("case", _named("reject", "malformed"))
def test_lies_are_rejected_by_both_for_their_reason(case: Case, tmp_path: Path) -> None:
    judgement = judge(case.build(tmp_path / "bundle"), trust=case.record.get("trust", False))
    assert not judgement.accepted, case.record["why"]
    for checker, opinion in judgement.opinions.items():
        assert any(case.record[checker] in str(finding) for finding in opinion.findings), f"{checker}: {opinion}"


@pytest.mark.parametrize("case", _named("reject"))
def test_what_is_rejected_is_false_unless_only_its_form_is_wrong(case: Case, tmp_path: Path) -> None:
    """The judge of the mutants has teeth: it sees every lie, and is no mere echo of the checkers."""
    bundle = case.build(tmp_path / "bundle")
    try:
        found = doubts(bundle)
    except Exception as error:  # noqa: BLE001 - it reads honest bundles; what it cannot read it does not show true
        found = [repr(error)]
    assert bool(found) != bool(case.record.get("true")), found


@pytest.mark.parametrize("name", ["accept/as-it-is", "reject/removal-without-proof", "malformed/manifest-a-list"])
def test_a_process_of_its_own_says_the_same(name: str, tmp_path: Path) -> None:
    (case,) = (case for case in cases() if f"{case.folder}/{case.name}" == name)
    bundle = case.build(tmp_path / "bundle")
    inside, outside = judge(bundle), judge_outside(bundle)
    assert inside.exact.outcome == outside.exact.outcome
    assert inside.exact.findings == outside.exact.findings


def test_every_file_of_the_corpus_is_a_case() -> None:
    folders = {path for path in _HERE.iterdir() if path.is_dir() and list(path.glob("*.json"))}
    assert {path.name for path in folders} == set(FOLDERS)
    for folder in folders:
        assert {path.suffix for path in folder.iterdir()} == {".json"}
    for case in cases():
        reasons = {"rigorous", "exact"} & case.record.keys()
        assert reasons == (set() if case.folder == "accept" else {"rigorous", "exact"}), case.name
        assert case.record.keys() <= KEYS, case.name
        assert case.record["why"].endswith((".", ":", "?")), case.name
        assert case.folder == "reject" or "true" not in case.record, case.name


def test_the_corpus_is_large_and_no_two_cases_build_the_same(tmp_path: Path) -> None:
    numbers = {folder: len(cases(folder)) for folder in FOLDERS}
    assert numbers["accept"] >= 15
    assert numbers["reject"] >= 40
    assert numbers["malformed"] >= 40
    edits = [
        repr({k: v for k, v in case.record.items() if k not in {"why", "rigorous", "exact", "true"}})
        for case in cases()
    ]
    assert len(set(edits)) == len(edits)
