"""What a shell offers after Tab."""

import pytest
from click.shell_completion import BashComplete

from bncli.cli import main
from command_line import COMMANDS


def offered(*words):
    *before, last = words
    return [
        (item.value, item.type)
        for item in BashComplete(main, {}, "bncli", "_BNCLI_COMPLETE").get_completions(before, last)
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("gradcheck", "nump"), ["numpy", "numpynet"]),
        (("bench", "numpy", "-k", "numb"), ["numba"]),
        (("bench", "--preset", "resnet"), ["resnet50", "resnet50-nhwc"]),
        (("selftest", "--fault", "stale-c"), ["stale-cache"]),
        (("verify", "--layout", "channels"), ["channels-first", "channels-last"]),
        (("forward", "--dtype", "bf"), ["bfloat16"]),
        (("bench", "--max"), ["--max-time"]),
    ],
)
def test_names_are_offered(words, names):
    assert sorted(offered(*words)) == [(name, "plain") for name in names]


def test_commands_are_offered():
    assert sorted(name for name, _ in offered("")) == sorted(COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        ("gradcheck", "mi"),
        ("bench", "--kernel", "./mi"),
        ("bench", "--preset", "my"),
        ("forward", "--image", "ph"),
        ("forward", "--array", "x"),
        ("compare", "ol"),
        ("bench", "-o", "ou"),
        ("report", "--output", "re"),
    ],
)
def test_files_are_offered(words):
    assert offered(*words) == [(words[-1], "file")]


def test_no_file_is_offered_for_a_fault():
    assert offered("selftest", "--fault", "zzz") == []
