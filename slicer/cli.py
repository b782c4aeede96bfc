"""The command line ``slicer``: argument parsing and printing, nothing else.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done or accepted, 1 rejected by the audit, 2 unusable
input or a full disk, 130 interrupted, 143 terminated (128 and the signal's number).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from dispatcher.errors import UnusableInput
from slicer.arguments import add_compress_options, compress_options
from slicer.auditor import Audit, audit, audited_exactly, parse_cells
from slicer.certificate.verdict import UnusableBundleFile
from slicer.demonstration import run_demo
from slicer.family.compress import compress
from slicer.family.interruption import Interrupted
from slicer.family.options import TRUST
from slicer.inspect import inspect_path
from slicer.progress import progress_on_stderr
from slicer.report import collect, report_html, report_json
from slicer.report.budget_chart import budget_svg
from slicer.summary import summarize, summary_lines

EXIT_CODES = (
    "exit codes: 0 done or accepted, 1 rejected by the audit, 2 unusable input or a full disk, 130 interrupted,\n"
    "143 terminated"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        return int(arguments.run(arguments))
    except (UnusableInput, UnusableBundleFile) as error:
        print(f"slicer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        number, kept = (stop.number, stop.kept) if isinstance(stop, Interrupted) else (signal.SIGINT, "")
        print(f"slicer: interrupted; {kept or 'nothing was written'}", file=sys.stderr)
        return 128 + number
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nobody to tell
        return 0


def _joined(argv: Sequence[str]) -> list[str]:
    """The arguments with ``--domain -1:1`` as one word: argparse takes a word that starts with a dash as an option."""
    words = list(argv)
    if "--domain" in words[:-1]:
        place = words.index("--domain")
        words[place : place + 2] = [f"--domain={words[place + 1]}"]
    return words


def _parser() -> argparse.ArgumentParser:
    """The parser with one sub-command per verb."""
    parser = argparse.ArgumentParser(
        prog="slicer",
        description="Split a ReLU network's input box into cells and remove every unit proved redundant there.",
        epilog=EXIT_CODES,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_compress(verbs)
    _add_audit(verbs)
    _add_inspect(verbs)
    _add_demo(verbs)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, example: str
) -> argparse.ArgumentParser:
    """A sub-command whose help ends with an example."""
    return verbs.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_compress(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``slicer compress``."""
    verb = _verb(
        verbs,
        "compress",
        "compress a model into a bundle of small networks with proofs",
        "slicer compress model.onnx --domain box.csv --cells 64 --out bundle",
    )
    add_compress_options(verb)
    _add_output_options(verb)
    verb.set_defaults(run=_compress)


def _add_audit(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``slicer audit``."""
    verb = _verb(verbs, "audit", "check every certificate of a bundle", "slicer audit bundle --exact --html audit.html")
    verb.add_argument("bundle", type=Path)
    verb.add_argument(
        "--cells", metavar="SPEC", help="only these cells, such as 0-9,17 (then nothing is accepted as a whole)"
    )
    verb.add_argument("--exact", action="store_true", help="ask the exact checker too: both must accept")
    verb.add_argument("--jobs", type=int, help="processes of each checker (default: one per core)")
    verb.add_argument(
        "--trust",
        choices=TRUST,
        default=TRUST[0],
        help="with solver, units may be gone on a solver's word: such a bundle is attested, and never accepted",
    )
    verb.add_argument("--html", metavar="FILE", help="write the report as one printable page")
    _add_output_options(verb)
    verb.set_defaults(run=_audit)


def _add_inspect(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``slicer inspect``."""
    verb = _verb(verbs, "inspect", "say what a model or a bundle is", "slicer inspect model.onnx")
    verb.add_argument("path", type=Path, help="a model file or a bundle directory")
    verb.add_argument("--json", metavar="FILE", help="write the record as JSON ('-' for stdout instead of text)")
    verb.set_defaults(run=_inspect)


def _add_demo(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``slicer demo``."""
    verb = _verb(verbs, "demo", "the embedded example from model to compiled C", "slicer demo --out artifacts/demo")
    verb.add_argument("--out", type=Path, default=Path("artifacts/demo"), help="directory (default artifacts/demo)")
    verb.add_argument("--cells", type=int, default=64, help="number of cells (default 64)")
    verb.add_argument("--jobs", type=int, default=-1, help="worker processes (default: one per core)")
    verb.set_defaults(run=_demo)


def _add_output_options(verb: argparse.ArgumentParser) -> None:
    """Options of every verb that works long."""
    verb.add_argument("--json", metavar="FILE", help="write the result as JSON ('-' for stdout instead of text)")
    verb.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _compress(arguments: argparse.Namespace) -> int:
    """Carry out ``slicer compress``."""
    options = compress_options(arguments)
    out = arguments.out or Path("artifacts") / arguments.model.stem
    if arguments.plot is not None:
        if not options.budgeted:
            raise UnusableInput("expected --members or --flash, whose choice it shows", where="--plot")
        _check_targets([arguments.plot], out)
    with progress_on_stderr(quiet=arguments.quiet) as stage:
        bundle = compress(
            arguments.model,
            arguments.domain,
            out,
            options,
            stage("compress"),
            cutting=stage("cuts"),
            resume=arguments.resume,
        )
    if arguments.resume and not arguments.quiet:
        print(f"slicer: {bundle.reused} of {len(bundle.counts)} cells were done before", file=sys.stderr)
    summary = summarize(bundle)
    record = {"bundle": str(bundle.path), "digest": bundle.digest, "truncated": bundle.truncated, **summary}
    lines = [*summary_lines(summary), f"bundle               {bundle.path} (sha256 {bundle.digest})"]
    if arguments.plot is not None:
        assert summary["budget"] is not None  # there is one, or the plot was refused before
        _write(arguments.plot, budget_svg(summary["budget"]))
    _print(record, lines, arguments.json)
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    """Carry out ``slicer audit``."""
    cells = None if arguments.cells is None else parse_cells(arguments.cells)
    trusted = arguments.trust == "solver"
    targets = [target for target in (arguments.json, arguments.html) if target not in (None, "-")]
    _check_targets(targets, arguments.bundle)
    with progress_on_stderr(quiet=arguments.quiet) as stage:
        result = audit(arguments.bundle, cells, stage("audit"), jobs=arguments.jobs, trust_solver=trusted)
    if arguments.exact:
        watched = sys.stderr.isatty() and not arguments.quiet
        result = audited_exactly(
            result, arguments.bundle, cells, arguments.jobs, show_progress=watched, trust_solver=trusted
        )
    if arguments.json or arguments.html:
        report = collect(arguments.bundle, result)
        if arguments.html:
            _write(arguments.html, report_html(report))
        if arguments.json:
            _write(arguments.json, report_json(report))
    if "-" not in (arguments.json, arguments.html):
        print("\n".join(_audit_lines(result)))
    return 1 if result.rejections else 0


def _check_targets(targets: list[str], bundle: Path) -> None:
    """Refuse, before the work, files that cannot be written, or that would lie in the bundle and so break it."""
    for target in map(Path, targets):
        if target.resolve().is_relative_to(bundle.resolve()):
            raise UnusableInput(
                "expected a file outside the bundle, which must hold its own files only", where=str(target)
            )
        if not target.parent.is_dir() or target.is_dir():
            raise UnusableInput("expected a file in a directory that exists", where=str(target))


def _audit_lines(result: Audit) -> list[str]:
    """The verdict for people."""
    lines = [f"rejected  {finding.checker}: {finding.verdict}" for finding in result.findings]
    if result.disagreements:
        places = ", ".join("the bundle" if one.cell is None else f"cell {one.cell}" for one in result.disagreements)
        lines += [f"THE CHECKERS DISAGREE about {places}: please report this bundle"]
    checked = f"{len(result.cells)} of {result.total} cells"
    detail = f"{result.count('removed')} removals, {result.count('closings')} bounds verified in {result.seconds:.1f} s"
    detail += " by both checkers" if result.exact else ""
    if result.rejections:
        return [*lines, f"REJECTED  {checked} checked"]
    word = f"ATTESTED, {result.attested} removals on a solver's word" if result.attested else "ACCEPTED"
    verdict = word if result.complete else "no objection (not all cells were checked)"
    return [f"{verdict}  {checked}: {detail}"]


def _inspect(arguments: argparse.Namespace) -> int:
    """Carry out ``slicer inspect``."""
    record, lines = inspect_path(arguments.path)
    _print(record, lines, arguments.json)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    """Carry out ``slicer demo``."""
    return 0 if run_demo(arguments.out, arguments.cells, arguments.jobs, print) else 1


def _print(record: object, lines: list[str], target: str | None) -> None:
    """Text to stdout, and the record to a file; with ``-`` the record alone to stdout."""
    if target is not None:
        _write(target, json.dumps(record, indent=2, sort_keys=True) + "\n")
    if target != "-":
        print("\n".join(lines))


def _write(target: str, content: str) -> None:
    """Text to a file, or to stdout for ``-``."""
    if target == "-":
        print(content, end="")
        return
    try:
        Path(target).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UnusableInput(f"cannot write: {error.strerror}", where=target) from error
