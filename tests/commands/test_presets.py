"""The shipped presets: each can be used, and has the shapes that its source says."""

import re

import click
import pytest

from bncli.cli import main
from bncli.commands import _presets
from bncli.commands.bench import COMMAND as BENCH
from bncli.core.layout import Layout
from bncli.core.problem import ITEMSIZE, Problem

NAMES = sorted(_presets.shipped())


def problems(name):
    """The problems of a preset, through the options of bench; nothing is run."""
    parent = click.Context(main, **main.context_settings)
    found = BENCH.make_context("bench", ["--preset", name], parent=parent).params
    default = Problem((1, 1), Layout(found["layout"]), found["dtype"] or "float64", found["epsilon"])
    return [Problem.parse(shape, default) for shape in found["shape"]]


def shapes(name):
    """The shapes of a channels-first preset without the batch, as (channels, height)."""
    found = problems(name)
    assert {problem.layout for problem in found} == {Layout.CHANNELS_FIRST}
    assert len({problem.shape[0] for problem in found}) == 1
    assert all(problem.shape[2] == problem.shape[3] for problem in found)
    return {problem.shape[1:3] for problem in found}


@pytest.mark.parametrize("name", NAMES)
def test_each_preset_is_a_list_of_distinct_problems_with_something_to_normalise(name):
    found = problems(name)
    assert len(found) == len(set(found)) > 0
    assert min(problem.samples for problem in found) > 1
    assert max(problem.size * ITEMSIZE["float32"] for problem in found) < 1 << 29  # a desktop's memory holds eight


@pytest.mark.parametrize("name", NAMES)
def test_each_preset_has_a_summary_of_one_line(name):
    summary = _presets.load(name)["summary"]
    assert summary == summary.strip()
    assert 0 < len(summary) < 100
    assert "\n" not in summary


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"images", "quick", "seed"}))
def test_what_is_taken_from_somewhere_says_from_where(name):
    comment = _presets.shipped()[name].read_text(encoding="utf-8").partition("summary")[0]
    assert re.search(r"\b(19|20)\d\d\b", comment), "no year"
    assert all(line.startswith("# ") for line in comment.splitlines())


def test_resnet50_is_table_1_in_both_memory_formats():
    stages = {56: 64, 28: 128, 14: 256, 7: 512}
    expected = {(64, 112)} | {(c, s) for s, width in stages.items() for c in (width, 4 * width)}
    assert shapes("resnet50") == expected
    last = problems("resnet50-nhwc")
    assert {problem.layout for problem in last} == {Layout.CHANNELS_LAST}
    assert {(problem.shape[3], problem.shape[1]) for problem in last} == expected
    # The same values in another order.
    assert [p.features for p in last] == [p.features for p in problems("resnet50")]
    assert [p.samples for p in last] == [p.samples for p in problems("resnet50")]


def test_densenet121_grows_by_32_channels_a_layer():
    expected, channels = {(64, 112)}, 64
    for layers, size in ((6, 56), (12, 28), (24, 14), (16, 7)):
        expected |= {(channels + 32 * layer, size) for layer in range(layers + 1)} | {(4 * 32, size)}
        channels = (channels + 32 * layers) // 2
    assert shapes("densenet121") == expected
    assert len(expected) == 65


def test_mobilenet_v2_is_table_2():
    expected, channels, size = {(32, 112)}, 32, 112
    # Expansion, channels, repetitions, stride of the first.
    rows = "1 16 1 1, 6 24 2 2, 6 32 3 2, 6 64 4 2, 6 96 3 1, 6 160 3 2, 6 320 1 1"
    for t, c, n, stride in (map(int, row.split()) for row in rows.split(",")):
        for s in (stride, *(1,) * (n - 1)):
            expected |= {(t * channels, size), (t * channels, size // s), (c, size // s)}
            channels, size = c, size // s
    assert shapes("mobilenet-v2") == expected | {(1280, 7)}


def test_googlenet_is_table_1():
    # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection: each is a convolution, and its output is normalised.
    blocks = {
        28: [(64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)],
        14: [
            (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
            (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128),
        ],
        7: [(256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)],
    }  # fmt: skip
    expected = {(channels, size) for size, rows in blocks.items() for row in rows for channels in row}
    assert shapes("googlenet") == expected | {(64, 112), (64, 56), (192, 56), (128, 4)}


def test_inception_v3_shrinks_as_unpadded_convolutions_do():
    sizes = {size for _, size in shapes("inception-v3")}
    stem = [149, 147, 147, 73, 71, 35, 17, 8]
    assert stem[0] == (299 - 3) // 2 + 1
    assert sizes == {*stem, 5, 1}
    assert len(shapes("inception-v3")) == 20


def test_small_batches_have_one_two_and_four_items():
    assert {problem.shape[0] for problem in problems("small-batches")} == {1, 2, 4}
    assert {problem.layout for problem in problems("small-batches")} == {Layout.CHANNELS_FIRST}


def test_no_shape_of_the_grid_is_in_another_preset():
    others = {problem.canonical_shape for name in NAMES if name not in ("grid", "images") for problem in problems(name)}
    assert len(problems("grid")) == 28
    assert not {problem.canonical_shape for problem in problems("grid")} & others


def test_bert_is_tokens_times_features():
    found = {problem.shape for problem in problems("bert")}
    tokens = {(32 * length, width) for length in (128, 512) for hidden in (768, 1024) for width in (hidden, 4 * hidden)}
    assert found == tokens | {(32, 768), (32, 1024)}
