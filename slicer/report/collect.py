"""From an audit and the bundle that was audited to a `Report`. Nothing is decided here: verdicts are the audit's."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.cost import Cost, cost
from dispatcher.encode import digest
from dispatcher.errors import UnusableInput
from dispatcher.files import PARENT_FILE, member_bytes
from dispatcher.load import Bundle, load_bundle
from dispatcher.manifest import MANIFEST_FILE, Manifest, read_manifest
from dispatcher.plan import Family, Split, member_layers
from slicer.auditor import Audit
from slicer.certificate.exact import CHECKER, cells_text
from slicer.certificate.verdict import Accepted, AuditResult
from slicer.report.cells import cell_records, decimal
from slicer.report.record import (
    REPORT_FORMAT,
    CheckerRecord,
    Command,
    Contents,
    CostRecord,
    DisagreementRecord,
    FileRecord,
    FindingRecord,
    Identity,
    InputRecord,
    LayerRecord,
    MemberRecord,
    PartsRecord,
    Report,
    Word,
)
from slicer.report.statement import ARITHMETIC, statement

CHECKER_FILE = "check.py"


def collect(bundle: str | Path, audit: Audit) -> Report:
    """The report on an audit.

    Parameters
    ----------
    bundle:
        The directory that was audited.

    Raises
    ------
    UnusableInput
        If the bundle is not the one that was audited: it changed since.
    """
    path = Path(bundle)
    identity, contents, unreadable = _described(path, audit)
    claim = (contents.decision, contents.epsilon) if contents else (None, None)
    return Report(
        format=REPORT_FORMAT,
        name=path.resolve().name,
        verdict=_word(rejected=bool(audit.findings), complete=audit.complete, attested=audit.attested),
        accepted=audit.accepted,
        complete=audit.complete,
        cells=audit.total,
        cells_checked=len(audit.cells),
        removed=audit.count("removed"),
        attested=audit.attested,
        bounds_verified=audit.count("closings"),
        nodes=audit.count("nodes"),
        seconds=round(audit.seconds, 3),
        checkers=tuple(_checker(name, result) for name, result in audit.checkers.items()),
        rejections=tuple(
            FindingRecord(found.checker, found.cell, found.verdict.where, found.verdict.why) for found in audit.findings
        ),
        disagreements=tuple(DisagreementRecord(place.cell, place.rejecting) for place in audit.disagreements),
        tools=_tools(),
        commands=_commands(path.resolve().name, audit, identity),
        statement=statement(
            exact=audit.exact is not None,
            attested=audit.attested,
            mode=identity.mode if identity else "bitwise",
            decision=claim[0],
            epsilon=claim[1],
            parts=audit.rigorous.parts,
        ),
        parts=tuple(PartsRecord(*parts) for parts in audit.rigorous.parts),
        identity=identity,
        contents=contents,
        unreadable=unreadable,
    )


def _word(*, rejected: bool, complete: bool, attested: int) -> Word:
    """The verdict in one word."""
    if rejected or not complete:
        return "rejected" if rejected else "incomplete"
    return "attested" if attested else "accepted"


def _checker(name: str, result: AuditResult) -> CheckerRecord:
    """One checker's result."""
    bad = sum(not isinstance(outcome.verdict, Accepted) for outcome in result.cells)
    return CheckerRecord(
        name=name,
        arithmetic=ARITHMETIC[name],
        program=digest(CHECKER.read_bytes()) if name == "exact" else "",
        verdict=_word(rejected=bool(result.rejections), complete=result.complete, attested=result.attested),
        cells_checked=len(result.cells),
        cells_rejected=bad,
        seconds=round(result.seconds, 3),
    )


def _tools() -> dict[str, str]:
    """Versions that the audit ran with."""
    try:
        own = version("netslicer")
    except PackageNotFoundError:
        own = "unknown"
    return {"netslicer": own, "numpy": np.__version__, "python": platform.python_version()}


def _commands(name: str, audit: Audit, identity: Identity | None) -> tuple[Command, ...]:
    """How to repeat the audit, from the directory that holds the bundle."""
    bundle = shlex.quote(name)
    options = ["--exact"] if audit.exact is not None else []
    options += ["--trust", "solver"] if audit.attested else []
    if audit.cells and len(audit.cells) < audit.total:
        options += ["--cells", cells_text([outcome.cell for outcome in audit.cells])]
    line = " ".join(["slicer", "audit", bundle, *options, "--json", "audit.json", "--html", "audit.html"])
    copied = identity is not None and identity.checker == "own"
    checker, origin = (f"{bundle}/{CHECKER_FILE}", "the bundle") if copied else (CHECKER_FILE, "slicer/certificate")
    digest_line = Command(
        "the digest that names the bundle",
        f"sha256sum {bundle}/{MANIFEST_FILE}",
        identity.bundle if identity else "a digest that this report does not know",
    )
    return (
        Command("this audit", line, f"exit code {int(bool(audit.findings))}"),
        Command(
            f"the exact checker alone: {CHECKER_FILE} of {origin}, which needs Python 3.11 and nothing else",
            f"python3 -I -S {checker} {bundle}" + (" --trust solver" if audit.attested else ""),
            "exit code 0 if it accepts" if audit.exact is None else f"exit code {int(bool(audit.exact.rejections))}",
        ),
        digest_line,
    )


def _described(path: Path, audit: Audit) -> tuple[Identity | None, Contents | None, str]:
    """Identity and contents as far as the bundle can be read, and what stopped the reading (else empty)."""
    identity, contents = None, None
    try:
        content = (path / MANIFEST_FILE).read_bytes()
        _unchanged(digest(content), audit, path)
        identity = _identity(digest(content), read_manifest(content), audit)
        bundle = load_bundle(path)
        _unchanged(bundle.digest, audit, path)
        contents = _contents(bundle, audit)
    except OSError as error:
        return identity, contents, f"cannot read the bundle: {error.strerror}"
    except UnusableInput as error:
        if isinstance(error, ChangedBundle):
            raise
        return identity, contents, str(error)
    return identity, contents, ""


class ChangedBundle(UnusableInput):
    """The bundle is not the one that was audited."""


def _unchanged(found: str, audit: Audit, path: Path) -> None:
    """Refuse a bundle whose manifest is another than the audited one."""
    if audit.rigorous.digest not in ("", found):
        raise ChangedBundle(
            f"expected the audited bundle {audit.rigorous.digest}, got {found}: it changed since",
            where=str(path),
            fix="audit it again",
        )


def _identity(bundle_digest: str, manifest: Manifest, audit: Audit) -> Identity:
    """What the manifest says the bundle is."""
    files = tuple(FileRecord(name, entry.sha256, entry.size) for name, entry in sorted(manifest.files.items()))
    entries = {entry.path: entry for entry in files}
    nothing = FileRecord("", "", 0)
    checker = entries.get(CHECKER_FILE)
    own = checker is not None and checker.sha256 == digest(CHECKER.read_bytes())
    return Identity(
        bundle=bundle_digest,
        mode=manifest.mode,
        parent=entries.get(PARENT_FILE, nothing).sha256,
        source=entries.get(manifest.source, nothing),
        source_agrees=None if audit.source is None else isinstance(audit.source, Accepted),
        truncated=manifest.truncated,
        options=dict(sorted(manifest.options.items())),
        tools=dict(sorted(manifest.tools.items())),
        checker="none" if checker is None else "own" if own else "other",
        files=files,
    )


def _contents(bundle: Bundle, audit: Audit) -> Contents:
    """Domain, parent, members and cells."""
    family = bundle.family
    cells = cell_records(bundle, audit)
    members = _members(family, bundle.manifest.files[PARENT_FILE].sha256)
    volumes = np.array([cell.share for cell in cells])
    shares = np.bincount(family.cells, weights=volumes, minlength=len(members)).astype(np.float64)  # by member
    return Contents(
        decision=family.decision,
        epsilon=None if family.epsilon is None else tuple(decimal(bound) for bound in family.epsilon),
        inputs=_inputs(family, [cell.share for cell in cells]),
        outputs=family.parent[-1].width,
        parent=_cost(cost(family.parent)),
        mac_mean=float(shares @ np.array([member.cost.mac for member in members])),
        relu_units_mean=float(shares @ np.array([member.cost.relu_units for member in members])),
        layers=_layers(family, members, shares),
        members=members,
        cells=cells,
    )


def _cost(counts: Cost) -> CostRecord:
    """The counts that a report shows."""
    return CostRecord(counts.mac, counts.relu_units)


def _inputs(family: Family, shares: Sequence[float]) -> tuple[InputRecord, ...]:
    """The domain, with the cuts of each input; ``shares`` are the cells' parts of the volume."""
    cuts, means = [0] * len(family.lower), [0.0] * len(family.lower)
    volumes: list[float] = []  # of the subtrees that are finished, from the last node to the first
    for node in reversed(family.tree):
        if isinstance(node, Split):
            volumes.append(volumes.pop() + volumes.pop())
            cuts[node.axis] += 1
            means[node.axis] += volumes[-1]
        else:
            volumes.append(shares[node.cell])
    bounds = zip(family.lower, family.upper, cuts, means, strict=True)
    return tuple(InputRecord(decimal(lower), decimal(upper), count, mean) for lower, upper, count, mean in bounds)


def _members(family: Family, parent_digest: str) -> tuple[MemberRecord, ...]:
    """Every distinct member."""
    cells = np.bincount(family.cells).tolist()
    return tuple(
        MemberRecord(
            sha256=digest(member_bytes(member, parent_digest)),
            cost=_cost(cost(member_layers(family.parent, member))),
            units=tuple(len(entry.units) for entry in member.layers),
            prefixes=sum(len(entry.prefixes) for entry in member.layers),
            constants=sum(len(entry.constants) for entry in member.layers),
            affine=member.readout is not None and member.readout.affine,
            readout=member.readout is not None,
            cells=cells[index],
        )
        for index, member in enumerate(family.members)
    )


def _layers(family: Family, members: tuple[MemberRecord, ...], shares: NDArray[np.float64]) -> tuple[LayerRecord, ...]:
    """The parent's layers with the units that members keep of each; ``shares`` [n_members] are parts of the volume."""
    units = np.array([member.units for member in members])  # [n_members, n_layers]
    return tuple(
        LayerRecord(
            kind=type(layer).__name__.lower(),
            name=layer.name,
            units=layer.width,
            units_min=int(units[:, position].min()),
            units_mean=float(shares @ units[:, position]),
            units_max=int(units[:, position].max()),
        )
        for position, layer in enumerate(family.parent)
    )
