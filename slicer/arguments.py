"""The options of ``slicer compress``, from the command line to `Options`."""

from __future__ import annotations

import argparse
from pathlib import Path

from slicer.family.options import BACKENDS, CUTS, DECISIONS, DEFAULT_EFFORT, LAYOUTS, MODES, PARTS, TRUST, Options
from slicer.search.advisers import SOLVERS


def add_compress_options(verb: argparse.ArgumentParser) -> None:
    """Everything but what all verbs have."""
    verb.add_argument("model", type=Path, help=".onnx or .nnet file")
    verb.add_argument(
        "--domain",
        required=True,
        help="the box of inputs: lo:hi, 'lo,hi;lo,hi;…', a .csv file with the header lower,upper, or a .vnnlib file",
    )
    verb.add_argument(
        "--mode",
        choices=MODES,
        default=MODES[0],
        help="what members have in common with the parent: all bits (bitwise, default), which output wins (decision), "
        "or outputs up to --epsilon (epsilon)",
    )
    verb.add_argument(
        "--decision",
        choices=DECISIONS,
        help="in mode decision: the largest output wins (argmax, default) or the smallest",
    )
    verb.add_argument(
        "--epsilon",
        metavar="E",
        help="in mode epsilon: by how much each output may differ, 0.01 or 0.1%% of its range over the domain",
    )
    _add_family_options(verb)
    _add_search_options(verb)
    _add_adviser_options(verb)
    _add_run_options(verb)


def _add_family_options(verb: argparse.ArgumentParser) -> None:
    """Where to cut, and what to share."""
    verb.add_argument("--cells", type=int, default=32, help="number of cells (default 32)")
    verb.add_argument(
        "--cuts", choices=CUTS, default="adaptive", help="cut where it pays (adaptive, default) or halve (uniform)"
    )
    verb.add_argument(
        "--parts",
        type=int,
        metavar="K",
        help="in modes decision and epsilon: divide adaptive cells into up to K parts, on average, where proofs show "
        f"that some need no network (default {PARTS})",
    )
    verb.add_argument("--members", type=int, metavar="K", help="let the cells share at most so many members")
    verb.add_argument("--flash", type=int, metavar="BYTES", help="join members until the tables of the C take no more")
    verb.add_argument(
        "--plot", metavar="FILE", help="with one of these budgets: draw flash against work as an SVG file"
    )
    verb.add_argument(
        "--layout",
        choices=["auto", *LAYOUTS],
        default="auto",
        help="of these tables; auto (default): the one with less work that keeps --flash, packed without it",
    )
    verb.add_argument(
        "--samples", metavar="FILE", help="inputs as they come in use, .csv or .npy: expect them instead of the volume"
    )


def _add_search_options(verb: argparse.ArgumentParser) -> None:
    """How much to search."""
    verb.add_argument(
        "--effort", type=int, default=DEFAULT_EFFORT, help=f"bounded boxes per cell (default {DEFAULT_EFFORT})"
    )
    verb.add_argument(
        "--time-limit", type=float, metavar="SECONDS", help="finish then, with what is proved; recorded in the bundle"
    )
    verb.add_argument("--seed", type=int, default=0, help="seed of the sampling (default 0)")


def _add_adviser_options(verb: argparse.ArgumentParser) -> None:
    """Options of solvers."""
    verb.add_argument(
        "--adviser", choices=SOLVERS, help="solver to ask about what search leaves open; its answers direct the search"
    )
    verb.add_argument(
        "--adviser-seconds", type=float, default=2.0, metavar="SECONDS", help="for each question (default 2)"
    )
    verb.add_argument(
        "--trust",
        choices=TRUST,
        default=TRUST[0],
        help="solver: also remove units on the adviser's word, without a proof; the bundle is attested, never accepted",
    )


def _add_run_options(verb: argparse.ArgumentParser) -> None:
    """Who works, and where the bundle goes."""
    verb.add_argument("--jobs", type=int, default=-1, help="worker processes (default: one per core)")
    verb.add_argument(
        "--backend", choices=BACKENDS, default="loky", help="processes of this machine (loky, default) or of a cluster"
    )
    verb.add_argument("--address", help="the running cluster: tcp://host:8786 for dask, host:6379 or auto for ray")
    verb.add_argument("--out", type=Path, help="bundle directory (default artifacts/NAME of the model)")
    verb.add_argument(
        "--resume",
        action="store_true",
        help="use the finished cells of a run that was killed or interrupted; they are kept in OUT.partial",
    )


def compress_options(arguments: argparse.Namespace) -> Options:
    """The options that were given.

    Raises
    ------
    UnusableInput
        If a value is out of range.
    """
    return Options(
        mode=arguments.mode,
        decision=arguments.decision,
        epsilon=arguments.epsilon,
        cells=arguments.cells,
        cuts=arguments.cuts,
        parts=arguments.parts,
        members=arguments.members,
        flash=arguments.flash,
        layout=arguments.layout,
        samples=arguments.samples,
        effort=arguments.effort,
        seed=arguments.seed,
        time_limit=arguments.time_limit,
        jobs=arguments.jobs,
        backend=arguments.backend,
        address=arguments.address,
        adviser=arguments.adviser,
        adviser_seconds=arguments.adviser_seconds,
        trust=arguments.trust,
    )
