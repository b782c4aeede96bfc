"""The report counts what is there, weighs it by volume, and says it in a table and under stable keys."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dispatcher.cost import Cost, cost
from dispatcher.emit_c99 import emit_parent_c99, masked_macs, table_sizes
from dispatcher.layers import Add, Concat, Input, Relu, dense
from dispatcher.load import load_bundle
from dispatcher.plan import whole_member
from dispatcher.report import report, report_json, report_table
from tests.dispatcher.bundle_samples import make_bundle, make_family
from tests.dispatcher.member_samples import member_of
from tests.emit_c99.families import (
    epsilon_family,
    readout_family,
)

PARENT = (Input(2), dense(0, [[1, 2], [3, 0], [0, 0]]), Relu(1, 3), dense(2, [[1, 0, 5], [1, 1, 1]]))


def test_costs_of_a_chain():
    assert cost(PARENT) == Cost(mac=12, connections=8, connections_without_input=5, relu_units=3)


def test_a_layer_that_reads_the_input_past_others_counts_as_an_input_layer():
    layers = (
        Input(1),
        Relu(0, 1),
        dense(0, [[1]]),
        Concat((1, 2), 2),
        dense(3, [[1, 1]]),
        Add((4, 4), 1),
        dense(5, [[1]]),
    )
    assert cost(layers) == Cost(mac=4, connections=4, connections_without_input=1, relu_units=1)


def test_a_network_without_dense_layers_costs_nothing():
    assert cost((Input(3), Relu(0, 3))) == Cost(0, 0, 0, 3)


@pytest.fixture
def bundle(tmp_path):
    """Three cells of shares ¼, ¼, ½: the first two keep everything, the last keeps ReLU unit 1 alone."""
    small = member_of(PARENT, {(2, 0), (2, 2)})
    family = make_family(PARENT, 3, lambda cell: small if cell == 2 else whole_member(PARENT))
    return load_bundle(make_bundle(tmp_path / "bundle", family))


def test_means_are_weighted_by_volume(bundle):
    result = report(bundle)
    small = Cost(mac=4, connections=2, connections_without_input=1, relu_units=1)
    assert result.parent == result.maximum == cost(PARENT)
    assert result.minimum == small
    assert [member.cost for member in result.members] == [cost(PARENT), small]
    assert [(member.cells, member.share) for member in result.members] == [(2, 0.5), (1, 0.5)]
    assert (result.mean.mac, result.mean.connections, result.mean.connections_without_input) == (8, 5, 3)
    assert result.mean.relu_units == 2


def test_routes_name_their_members_and_comparisons(bundle):
    result = report(bundle)
    assert [(route.cell, route.member, route.share, route.comparisons) for route in result.routes] == [
        (0, 0, 0.25, 2),
        (1, 0, 0.25, 2),
        (2, 1, 0.5, 1),
    ]
    assert (result.tree_depth, result.mean.comparisons) == (2, 1.5)


def test_sizes_are_those_of_the_emitted_tables(bundle):
    alone, c99 = table_sizes(make_family(PARENT)), report(bundle).c99
    assert (c99.parent.flash_bytes, c99.parent.ram_bytes, c99.parent.flash_ratio) == (alone.flash, alone.ram, 1)
    for cost_of_layout, layout in ((c99.packed, "packed"), (c99.masked, "masked")):
        sizes = table_sizes(bundle.family, layout)
        assert (cost_of_layout.flash_bytes, cost_of_layout.ram_bytes) == (sizes.flash, sizes.ram)
        assert cost_of_layout.flash_ratio == sizes.flash / alone.flash > 1


def test_the_parent_alone_is_what_emit_parent_c99_writes(bundle, tmp_path):
    family = bundle.family
    emit_parent_c99(family.parent, family.lower, family.upper, tmp_path / "parent")
    said = f"| **flash, code not counted** | **{report(bundle).c99.parent.flash_bytes}** |"
    assert said in (tmp_path / "parent" / "README.md").read_text()


def test_macs_of_the_layouts_are_weighted_by_volume(bundle):
    """Packed: what the counts say. Masked: the output that is constant in the last cell takes no terms."""
    c99 = report(bundle).c99
    assert (c99.parent.mac_mean, c99.parent.mac_max) == (12, 12)
    assert (c99.packed.mac_mean, c99.packed.mac_min, c99.packed.mac_max) == (8, 4, 12)
    assert masked_macs(bundle.family).tolist() == [12, 2 * 1 + 1 * 1]
    assert (c99.masked.mac_mean, c99.masked.mac_min, c99.masked.mac_max) == (7.5, 3, 12)


def test_affine_members_count_their_weights_in_each_layout(tmp_path):
    family = epsilon_family()
    result = report(load_bundle(make_bundle(tmp_path / "bundle", family)))
    for cost_of_layout, layout in ((result.c99.packed, "packed"), (result.c99.masked, "masked")):
        sizes = table_sizes(family, layout)
        assert (cost_of_layout.flash_bytes, cost_of_layout.ram_bytes) == (sizes.flash, sizes.ram)
        assert cost_of_layout.mac_min == 5 * 3 < cost_of_layout.mac_mean
    assert "flash / parent's" in report_table(result)


def test_members_that_read_hidden_units_have_both_layouts(tmp_path):
    family = readout_family()
    result = report(load_bundle(make_bundle(tmp_path / "bundle", family)))
    for cost_of_layout, layout in ((result.c99.packed, "packed"), (result.c99.masked, "masked")):
        sizes = table_sizes(family, layout)
        assert (cost_of_layout.flash_bytes, cost_of_layout.ram_bytes) == (sizes.flash, sizes.ram)
    macs = masked_macs(family)[list(family.cells)]
    shares = [route.share for route in result.routes]
    assert result.c99.masked.mac_mean == pytest.approx(macs @ shares)
    assert (result.c99.masked.mac_min, result.c99.masked.mac_max) == (macs.min(), macs.max())


def test_members_are_named_by_their_files(bundle):
    paths = [f"family/members/{member.member}.json" for member in report(bundle).members]
    assert sorted(paths) == sorted(path for path in bundle.manifest.files if "/members/" in path)


def test_the_keys_of_the_json_are_stable(bundle):
    record = json.loads(report_json(report(bundle)))
    counts = {"mac", "connections", "connections_without_input", "relu_units"}
    assert record["format"] == "netslicer-report/2"
    assert record["bundle"] == bundle.digest
    assert {key: set(record[key]) for key in ("parent", "minimum", "maximum", "mean", "c99")} == {
        "parent": counts,
        "minimum": counts,
        "maximum": counts,
        "mean": counts | {"comparisons"},
        "c99": {"parent", "packed", "masked"},
    }
    of_layout = {"flash_bytes", "ram_bytes", "flash_ratio", "mac_mean", "mac_min", "mac_max"}
    assert all(set(one) == of_layout for one in record["c99"].values())
    assert set(record["members"][0]) == {"member", "cells", "share", "cost"}
    assert set(record["routes"][0]) == {"cell", "member", "share", "comparisons"}
    assert set(record) == {
        *("bundle", "c99", "format", "layout", "maximum", "mean", "members", "minimum", "mode", "parent", "routes"),
        *("attested", "tree_depth"),
    }


def test_the_table_is_aligned(bundle):
    text = report_table(report(bundle))
    blocks = text.split("\n\n")
    assert (
        blocks[0].splitlines()[1]
        == "3 cells, 2 distinct members, at most 2 comparisons to find one; layout packed was chosen"
    )
    assert blocks[1] == "\n".join(
        [
            "per inference         parent  mean  min  max",
            "multiply-accumulates      12   8.0    4   12",
            "connections                8   5.0    2    8",
            "without input layer        5   3.0    1    5",
            "ReLU units                 3   2.0    1    3",
            "routing comparisons        0   1.5    1    2",
        ]
    )
    c99 = [line.split() for line in blocks[2].splitlines()]
    assert c99[0] == ["C99,", "code", "aside", "parent", "packed", "masked"]
    assert c99[4:] == [["MAC,", "mean", "12.0", "8.0", "7.5"], ["MAC,", "max", "12", "12", "12"]]
    assert len({len(line) for line in blocks[2].splitlines()}) == 1
    members = blocks[3].splitlines()
    assert len({len(line) for line in members}) == 1
    assert [line.split()[0] for line in members] == ["member", "0", "1"]


def test_the_table_shows_the_most_expensive_members(bundle):
    text = report_table(report(bundle), rows=1)
    assert text.endswith("not shown: 1 with at most as many multiply-accumulates")
    assert "\n1 " not in text


def test_equal_bundles_give_equal_reports(bundle):
    assert report_json(report(bundle)) == report_json(report(load_bundle(bundle.path)))
    assert np.isclose(sum(route.share for route in report(bundle).routes), 1)
