"""Ranges in a shape: which problems they stand for, and which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli import Problem
from bncli.core import ranges
from bncli.errors import InputError
from command_line import invoke, run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5x4", ["5x4"]),
        ("64x{1000..1000000:x10}", ["64x1000", "64x10000", "64x100000", "64x1000000"]),
        ("64x{100..400:+100}x3", ["64x100x3", "64x200x3", "64x300x3", "64x400x3"]),
        ("{3..20:x2}x5", ["3x5", "6x5", "12x5"]),  # 24 is beyond the end
        ("{1..6:+2}x5", ["1x5", "3x5", "5x5"]),
        ("{7..7:x2}x{2..3:+1}", ["7x2", "7x3"]),
        ("{1..2:+1}x{4..8:x2}/float32", ["1x4/float32", "1x8/float32", "2x4/float32", "2x8/float32"]),
    ],
)
def test_a_range_stands_for_its_values(text, expected):
    assert ranges.expand(text) == expected
    assert ranges.problems(text) == [Problem.parse(each) for each in expected]


@given(st.integers(1, 50), st.integers(0, 500), st.integers(2, 30))
def test_values_are_what_counting_or_multiplying_gives_until_the_end(first, more, step):
    last = first + more
    by_adding, by_multiplying, value = [], [], first
    while value <= last and len(by_adding) < ranges.MOST_PROBLEMS:
        by_adding.append(value)
        value += step
    value = first
    while value <= last:
        by_multiplying.append(value)
        value *= step
    assert ranges.expand(f"{{{first}..{last}:x{step}}}") == list(map(str, by_multiplying))
    if len(range(first, last + 1, step)) <= ranges.MOST_PROBLEMS:
        assert ranges.expand(f"{{{first}..{last}:+{step}}}") == list(map(str, by_adding))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64x{1..5:+0}", r"\{1\.\.5:\+0\}' never ends: step by \+1 or more"),
        ("64x{1..5:x1}", "never ends: step by x2 or more"),
        ("64x{1..5:x0}", "never ends: step by x2 or more"),
        ("64x{0..5:x2}", "never ends: begin with 1 or more"),
        ("64x{5..1:x2}", "ends before it begins"),
        ("64x{1..999999999999:+1}", "gives 999,999,999,999 problems, more than 100"),
        ("{1..50:+1}x{1..50:+1}", "gives 2,500 problems"),
        ("64x{1..5}", r"cannot read the range '\{1\.\.5\}': write \{first\.\.last:step\}"),
        ("64x{}", "cannot read the range"),
        ("64x{-1..5:+1}", "cannot read the range"),
        ("64x{1..9999999999999:x2}", "cannot read the range"),
        ("64x{1..\u0665:x2}", "cannot read the range"),
        ("64x{1..5:x2", "cannot read the shape"),
        ("64x{{1..5:x2}}", "cannot read the shape"),
    ],
)
def test_what_is_no_range_is_one_line_and_exit_2(text, message):
    with pytest.raises(InputError, match=message):
        ranges.problems(text)
    result = invoke("bench", "--shape", text)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_a_sweep_is_named_by_its_text_and_the_rest_of_the_problem():
    problem = Problem.parse("64x2/channels-last/float32/eps=0.1")
    assert ranges.sweep("64x{2..8:x2}", problem) == "64x{2..8:x2}/channels-last/float32/eps=0.1"
    assert ranges.sweep("64x2", problem) == ""


def test_every_command_with_a_shape_takes_ranges(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("forward", "backward", "gradcheck"):
        words = [command, "--shape", "4x{2..8:x2}", "--shape", "4x8", "--kernel", "numpy"]
        shown = invoke(*words).stdout
        # What a range has already is not done twice.
        assert [line.partition("/")[0] for line in shown.splitlines() if line.startswith("4x")] == ["4x2", "4x4", "4x8"]
    words = ["verify", "--shape", "4x{2..8:x2}/float64/per-activation", "--random", "normal", "--kernel", "numpy"]
    run(*words)


def test_a_preset_may_have_ranges(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('shape = ["4x{2..8:x2}", "3x3"]\nkernel = "numpy"\n', encoding="utf-8")
    shown = invoke("forward", "--preset", "mine.toml").stdout
    titles = [line.partition("/")[0] for line in shown.splitlines() if "/per-activation/" in line]
    assert titles == ["4x2", "4x4", "4x8", "3x3"]
