"""Words that people type for options, commands, layouts and dtypes."""

import pytest

from bncli.core.layout import Layout
from bncli.core.problem import Problem
from command_line import COMMANDS, fails, run


def test_bncli_alone_and_the_commands_help_and_version_are_what_people_expect():
    assert run().stdout == run("--help").stdout
    assert run("help").stdout.startswith(run().stdout)
    assert run("help", "bench").stdout == run("bench", "--help").stdout
    assert run("version").stdout == run("--version").stdout
    assert "no page or command is called 'nope'" in fails("help", "nope")
    assert "version" not in COMMANDS


@pytest.mark.parametrize(
    ("word", "dtype"),
    [("fp16", "float16"), ("half", "float16"), ("bf16", "bfloat16"), ("fp32", "float32"), ("f64", "float64")],
)
def test_dtypes_have_the_names_of_frameworks(word, dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    assert Problem.parse(f"6x5/{word}") == Problem.parse(f"6x5/{dtype}")
    found = run("gradcheck", "reference", "-s", "6x5", "-d", word, "--params", "own", "--search", "0").stdout
    assert f"/{dtype}/" in found


@pytest.mark.parametrize(("word", "layout"), [("nchw", Layout.CHANNELS_FIRST), ("NHWC", Layout.CHANNELS_LAST)])
def test_layouts_have_the_names_of_frameworks(word, layout):
    assert Layout(word) is layout
    found = run("gradcheck", "numpy", "-s", "2x3x4", "-l", word, "--eps", "0.5", "--search", "0").stdout
    assert f"2x3x4/{layout}/float64/eps=0.5" in found
    assert Problem.parse(f"2x3x4/{word.lower()}").layout is layout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--shape", "64"), "the shape '64' has one axis: give the batch and the features, as 32x64"),
        (("--shape", "8x4/float32", "--dtype", "float64"), "--shape 8x4/float32 and --dtype float64 differ"),
        (("--shape", "8x4/nchw", "--layout", "nhwc"), "--shape 8x4/nchw and --layout channels-last differ"),
        (("--shape", "8x4/eps=1e-5", "--epsilon", "1"), "--shape 8x4/eps=1e-5 and --epsilon 1.0 differ"),
        (("--dtype", "int8"), "'int8' is not one of 'float16'"),
    ],
)
def test_what_does_not_fit_is_one_line_with_the_hint(words, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert says in run("gradcheck", "numpy", *words, code=2).stderr


def test_what_is_typed_twice_and_agrees_is_fine():
    run("gradcheck", "numpy", "--shape", "8x4/fp32", "--dtype", "float32", "--search", "0")
