"""The page and the plot of `tests.benchmarks.family`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path


def page(record: dict, name: str) -> list[str]:
    """The record as tables."""
    runs = sorted(record["runs"], key=lambda run: (run["effort"], run["model"], run["cells"], run["cuts"] != "uniform"))
    return [
        "# Where to cut, and what to share",
        "",
        *(f"`{command}`  " for command in record["commands"]),
        "",
        f"{record['machine']}. MAC are multiply-accumulates per inference: mean over the domain's volume and largest over the members; of layout `masked` those that its C computes at "
        "most. The parent with zeros skipped at run time: mean over 20,000 seeded uniform inputs. Flash: the tables of the emitted C. Every bundle was audited"
        + ("." if all(run["accepted"] for run in runs) else "; NOT ALL WERE ACCEPTED."),
        "",
        "## Cuts",
        "",
        "Ratios: dense parent and zero-skipping parent to the mean of layout `packed`; the last column is the mean with uniform cuts divided by that with adaptive ones.",
        "",
        "| model | effort | cells | cuts | closure | packed: mean (max) | x dense | x skipping | flash x parent | masked: mean (max) | flash x parent | comparisons | uniform / adaptive |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_cuts_row(run, runs) for run in runs),
        "",
        "## Members",
        "",
        "Members joined until the tables take at most twice the parent's flash; the layout is chosen with them.",
        "",
        "| model | effort | cells | cuts | members | layout | flash x parent | mean (max) | x dense |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_members_row(run) for run in runs),
        "",
        f"![mean work against flash]({name}.png)",
        "",
        "Families that no other one beats, of the largest number of cells of each model: lines are means, dotted lines the largest member.",
    ]


def _cuts_row(run: dict, runs: Sequence[dict]) -> str:
    """One family as it comes from the search."""
    packed, masked = run["layouts"]["packed"], run["layouts"]["masked"]
    gain = ""
    if run["cuts"] == "adaptive":
        key = ("model", "effort", "cells")
        twins = [one for one in runs if one["cuts"] == "uniform" and all(one[name] == run[name] for name in key)]
        gain = f"{twins[0]['layouts']['packed']['mac_mean'] / packed['mac_mean']:.2f}" if twins else ""
    return (
        f"| {run['model']} | {run['effort']:,} | {run['cells']:,} | {run['cuts']} | {run['closure']:.1%} | {packed['mac_mean']:,.0f} ({packed['mac_max']:,}) | "
        f"{run['parent_mac'] / packed['mac_mean']:.2f} | {run['parent_skipping_mac'] / packed['mac_mean']:.2f} | {packed['flash'] / run['parent_flash']:.2f} | "
        f"{masked['mac_mean']:,.0f} ({masked['mac_max']:,}) | {masked['flash'] / run['parent_flash']:.2f} | {run['comparisons']:.1f} | {gain} |"
    )


def _members_row(run: dict) -> str:
    """The family for the budget."""
    if run["joined"] is None:
        head = f"| {run['model']} | {run['effort']:,} | {run['cells']:,} | {run['cuts']}"
        return f"{head} | none: the tree alone takes more | | | | |"
    chosen = run["joined"]["chosen"]
    return (
        f"| {run['model']} | {run['effort']:,} | {run['cells']:,} | {run['cuts']} | {chosen['members']:,} | {chosen['layout']} | "
        f"{chosen['flash'] / run['parent_flash']:.2f} | {chosen['mac_mean']:,.0f} ({chosen['mac_max']:,}) | {run['parent_mac'] / chosen['mac_mean']:.2f} |"
    )


def plot(runs: Sequence[dict], path: Path) -> None:
    """Work against flash, both in parents, for the largest families of each model."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    models = list(dict.fromkeys(run["model"] for run in runs))
    for run, style in _largest([run for run in runs if run["joined"] is not None]):
        color = f"C{models.index(run['model'])}"
        steps = run["joined"]["steps"]
        flash = [step["flash"] / run["parent_flash"] for step in steps]
        label = f"{run['model']}, {run['cells']:,} cells, {run['cuts']}"
        axes.plot(flash, [step["mac_mean"] / run["parent_mac"] for step in steps], style, color=color, label=label)
        axes.plot(flash, [step["mac_max"] / run["parent_mac"] for step in steps], ":", color=color, alpha=0.4)
    axes.set_xscale("log")
    axes.set_xlabel("flash of the tables / parent's")
    axes.set_ylabel("multiply-accumulates / parent's")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _largest(runs: Sequence[dict]) -> Iterator[tuple[dict, str]]:
    """The runs with the most cells of each model, with a line style for the kind of cuts."""
    for model in dict.fromkeys(run["model"] for run in runs):
        own = [run for run in runs if run["model"] == model]
        most = max(run["cells"] for run in own)
        for run in own:
            if run["cells"] == most:
                yield run, ".-" if run["cuts"] == "adaptive" else ".--"
