"""The command line of `dispatcher`: parsing and printing, nothing else."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from dispatcher.boards import COUNTING
from dispatcher.emit_c99 import Layout, emit_c99
from dispatcher.emit_onnx import OPSETS, emit_onnx
from dispatcher.emit_python import emit_python
from dispatcher.errors import UnusableInput
from dispatcher.inputs import as_points
from dispatcher.inspection import Accepted, header_bytes, inspection_points, judge, read_answers, verdict_json
from dispatcher.load import Bundle, load, load_bundle
from dispatcher.points import FORMATS, read_table, table_bytes, table_format
from dispatcher.report import report, report_json, report_table
from dispatcher.runtime import Dispatcher, OutOfDomain, winners

_EXIT_CODES = """
exit codes:
  0    done
  1    rejected: verify-outputs found answers that are not the bundle's
  2    unusable input: a message on standard error says what was expected, what came, and where
  130  interrupted
  141  the reader of standard output went away
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments) or 0
        sys.stdout.flush()
    except UnusableInput as error:
        return _fail(str(error))
    except BrokenPipeError:
        # The interpreter flushes once more at exit: give it somewhere to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _fail(f"{error.filename or 'output'}: {error.strerror}")
    except KeyboardInterrupt:
        return 130
    return code


def _fail(message: str) -> int:
    """Print an error; returns its exit code."""
    print(f"dispatcher: error: {message}", file=sys.stderr)
    return 2


def _load_and_say(path: Path) -> Bundle:
    """Open a bundle; a line on standard error says if removals are not proved."""
    bundle = load_bundle(path)
    if bundle.attested.cells:
        print(f"dispatcher: note: {path}: {bundle.attested}", file=sys.stderr)
    return bundle


def _write(content: bytes, output: Path | None) -> None:
    """Bytes to a file, or all of them to standard output, which takes some at a time where it is not buffered."""
    if output:
        output.write_bytes(content)
        return
    rest = memoryview(content)
    while rest:
        rest = rest[sys.stdout.buffer.write(rest) :]


def _parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    parser = argparse.ArgumentParser(
        prog="dispatcher",
        description="Serve a bundle made by slicer: evaluate it, turn it into source code, say what it costs.",
        epilog=f"example: dispatcher run bundle inputs.csv{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_emit(commands)
    _add_report(commands)
    _add_inspect(commands)
    _add_verify(commands)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, example: str
) -> argparse.ArgumentParser:
    """A command with its bundle argument, an example and the exit codes in its help."""
    command = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example:\n  {example}\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("bundle", metavar="BUNDLE", type=Path, help="directory that slicer compress wrote")
    return command


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``dispatcher run``."""
    command = _add_command(
        commands,
        "run",
        "Evaluate the family on a table of inputs; of a bundle of mode decision write which output wins.",
        "dispatcher run bundle inputs.csv --output outputs.csv --out-of-domain clamp",
    )
    command.add_argument(
        "input",
        metavar="INPUT",
        type=Path,
        help="one row per input vector: .csv (a header line is optional) or .npy; numbers are rounded to float32; "
        "messages count rows (without the header) and inputs from 0",
    )
    command.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="where outputs go, .csv or .npy (default: standard output, in the input's format)",
    )
    command.add_argument("--engine", choices=["numpy"], default="numpy", help="what evaluates (default: numpy)")
    command.add_argument(
        "--out-of-domain",
        choices=get_args(OutOfDomain),
        default="error",
        help="inputs outside the domain: refuse them, move each number to the nearest one of the domain, or evaluate "
        "the whole parent (default: error)",
    )
    command.set_defaults(command=_run)


def _add_emit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``dispatcher emit``."""
    command = _add_command(
        commands,
        "emit",
        "Write the family as source code; prints the files written.",
        "dispatcher emit bundle --target c99 --prefix advisory --out generated",
    )
    command.add_argument("--target", choices=["c99", "onnx", "python"], required=True, help="what is written")
    command.add_argument(
        "--layout",
        choices=get_args(Layout),
        help="packed: every member has weights of its own; masked: the parent's weights stand once, and every member "
        "says which units it needs; same outputs (c99; default: what the bundle was made for)",
    )
    command.add_argument(
        "--opset", metavar="N", type=int, choices=OPSETS, default=17, help="operator set, 13 to 17 (onnx; default: 17)"
    )
    command.add_argument(
        "--with-parent",
        action="store_true",
        help="also hold the parent, for inputs outside the domain (c99; compile with -DNAME_POLICY=NAME_PARENT)",
    )
    command.add_argument(
        "--measure",
        choices=COUNTING,
        help="count instructions on this board for report.json; takes its cross compiler and QEMU (c99)",
    )
    command.add_argument(
        "--prefix", metavar="NAME", default="family", help="of every symbol and file (default: family)"
    )
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="directory for the files")
    command.set_defaults(command=_emit)


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``dispatcher report``."""
    command = _add_command(
        commands,
        "report",
        "Say what the family costs: multiply-accumulates, connections, flash, RAM.",
        "dispatcher report bundle --json -",
    )
    command.add_argument(
        "--json", metavar="FILE", help="write everything as JSON ('-': to standard output instead of the table)"
    )
    command.add_argument(
        "--rows", metavar="N", type=_count, default=20, help="members to print, the most expensive first (default: 20)"
    )
    command.set_defaults(command=_report)


def _add_inspect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``dispatcher inspect-vectors``."""
    command = _add_command(
        commands,
        "inspect-vectors",
        "Choose inputs whose answers tell a faithful copy from one with a wrong threshold, member or bit.",
        "dispatcher inspect-vectors bundle -n 256 --output vectors.csv",
    )
    command.add_argument("-n", metavar="N", type=_count, default=256, help="number of inputs (default: 256)")
    command.add_argument("--seed", metavar="S", type=_count, default=0, help="of the choice (default: 0)")
    command.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help=".csv, .npy, or .h: a table in C for the device (default: CSV on standard output)",
    )
    command.set_defaults(command=_inspect)


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """``dispatcher verify-outputs``."""
    command = _add_command(
        commands,
        "verify-outputs",
        "Judge a deployed copy's answers to inputs: ACCEPTED if cells and bits are the bundle's, REJECTED otherwise.",
        "dispatcher verify-outputs bundle vectors.csv device.log",
    )
    command.add_argument("vectors", metavar="VECTORS", type=Path, help="the inputs, .csv or .npy")
    command.add_argument(
        "answers",
        metavar="ANSWERS",
        type=Path,
        help=".csv or .npy with a row per input (outputs, or cell and outputs), or a log with lines "
        "'answer INDEX CELL BITS BITS ...', outputs as eight hex digits each",
    )
    command.add_argument("--json", metavar="FILE", type=Path, help="also write the verdict as JSON")
    command.set_defaults(command=_verify)


def _count(text: str) -> int:
    """An argument that counts something."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def _run(arguments: argparse.Namespace) -> None:
    """Evaluate a table."""
    form = table_format(arguments.output or arguments.input)
    bundle = _load_and_say(arguments.bundle)
    inputs, served = read_table(arguments.input), Dispatcher(bundle.family)
    try:
        outputs = served.predict(inputs, out_of_domain=arguments.out_of_domain)
    except UnusableInput as error:
        raise UnusableInput(error.what, where=f"{arguments.input}: {error.where}", fix=error.fix) from error
    values = outputs if served.family.decision is None else winners(outputs, served.family.decision)[..., None]
    _write(table_bytes(values, form), arguments.output)


def _emit(arguments: argparse.Namespace) -> None:
    """Write source code."""
    bundle = _load_and_say(arguments.bundle)
    what = (bundle.family, bundle.digest, arguments.out, arguments.prefix)
    match arguments.target:
        case "onnx" | "python" if arguments.measure:
            raise UnusableInput(f"expected --target c99, got {arguments.target}", where="--measure")
        case "c99":
            layout, board = arguments.layout or bundle.layout, COUNTING.get(arguments.measure)
            more = {"with_parent": arguments.with_parent, "attested": bundle.attested, "board": board}
            paths = emit_c99(*what, layout, **more)
        case "onnx":
            paths = emit_onnx(*what, arguments.opset, attested=bundle.attested)
        case "python":
            paths = emit_python(*what, attested=bundle.attested)
    for path in paths:
        print(path)


def _inspect(arguments: argparse.Namespace) -> None:
    """Choose and write inputs."""
    form = ".csv" if arguments.output is None else table_format(arguments.output, (*FORMATS, ".h"))
    points = inspection_points(load_bundle(arguments.bundle).family, arguments.n, arguments.seed)
    content = header_bytes(points) if form == ".h" else table_bytes(points, form)
    _write(content, arguments.output)


def _verify(arguments: argparse.Namespace) -> int:
    """Judge answers; returns the exit code."""
    dispatcher = load(arguments.bundle)
    points = as_points(read_table(arguments.vectors), dispatcher.n_in)
    answers = read_answers(arguments.answers, len(points), dispatcher.n_out)
    verdict = judge(dispatcher, points, answers)
    if arguments.json:
        arguments.json.write_bytes(verdict_json(verdict))
    print(verdict)
    return 0 if isinstance(verdict, Accepted) else 1


def _report(arguments: argparse.Namespace) -> None:
    """Print or write what the family costs."""
    result = report(load_bundle(arguments.bundle))
    if arguments.json == "-":
        _write(report_json(result), None)
        return
    if arguments.json:
        Path(arguments.json).write_bytes(report_json(result))
    print(report_table(result, arguments.rows))
