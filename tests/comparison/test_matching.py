"""Which rows of two runs belong together, and what shuts the gate."""

import math

import numpy as np
import pytest

from bncli.comparison.compare import compare
from bncli.core.rows.times import Identity
from bncli.errors import CheckFailed, InputError
from measured_runs import HERE, NEW, OLD, PROBLEM, bench, measured, row


def test_rows_are_matched_and_what_is_in_one_file_is_shown():
    found = compare(OLD, NEW)
    assert [(r["kernel"], r["direction"], r["verdict"]) for r in found.rows] == [
        ("numpy", "forward", "SAME"),
        ("numba", "forward", "SLOWER"),
        ("numba", "backward", "FASTER"),
        ("torch", "forward", "ONLY OLD"),
        ("jax", "forward", "ONLY NEW"),
    ]
    slower = found.rows[1]
    assert slower["low"] < slower["ratio"] < slower["high"]
    assert slower["ratio"] == slower["new"] / slower["old"] == pytest.approx(1.3, rel=0.03)
    assert slower["old"] == np.median(OLD.rows[1]["samples"])
    assert found.rows[-1]["count"] == "5 rows: 1 SAME, 1 SLOWER, 1 FASTER, 1 ONLY OLD, 1 ONLY NEW"
    assert found.failures == []
    assert found.warnings == []


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("problem", "64x30000/per-activation/float64/eps=1e-05"),
        ("input", "--random uniform --seed 0"),
        ("kernel", "numpy"),
        ("direction", "backward"),
        ("outputs", "given"),
        ("threads", 2),
        ("cache", "cold"),
    ],
)
def test_what_differs_in_one_key_is_not_compared(key, other):
    old = row(samples=measured(0))
    found = compare(bench(old), bench(old | {key: other}))
    assert [r["verdict"] for r in found.rows] == ["ONLY OLD", "ONLY NEW"]
    assert key in Identity._fields


def test_rows_of_before_there_were_outputs_and_threads_are_matched():
    found = compare(
        bench(row(samples=measured(0))), bench(row(samples=measured(1), outputs="fresh", threads=None, cache="warm"))
    )
    assert [r["verdict"] for r in found.rows] == ["SAME"]
    assert found.groups()[0][0] == f"{PROBLEM}  --random normal --seed 0"


def test_what_was_wrong_says_why_it_has_no_time():
    wrong = row(verdict="WRONG")
    found = compare(bench(row(samples=measured(0))), bench(wrong))
    assert found.rows[0]["verdict"] == "ONLY OLD"
    assert found.rows[0]["note"] == "numba forward has no time in new: it is WRONG"
    assert compare(bench(wrong), bench(wrong)).rows[0]["verdict"] == "NO TIME"
    # One that is right has no time for the sake of another pass, and one that is not there has no verdict.
    found = compare(OLD, bench(row("numpy"), row("numba", "backward", verdict=None)))
    assert [each["note"] for each in found.rows[:3]] == [
        "numpy forward has no time in new: another pass of the kernel is not right",
        "",
        "numba backward has no time in new: the kernel has no backward",
    ]


def test_two_rows_of_the_same_thing_are_refused():
    twice = bench(row(samples=measured(0)), row(samples=measured(1)))
    for reports, name in (((twice, OLD), "old"), ((OLD, twice), "new")):
        with pytest.raises(InputError, match=rf"^{name} has 2 rows of the same pass, {PROBLEM} .*: leave all but one"):
            compare(*reports)


def test_the_count_of_all_rows_is_below_all_tables():
    limit = {each: value for each, value in row("copy", "limit", measured(0)).items() if each != "verdict"}
    timed = bench(row(samples=measured(1)), row(samples=measured(2), outputs="given"), limit)  # as bench has them
    (_, fresh), (title, given) = compare(timed, timed).groups()
    assert title.endswith("--outputs given")
    assert [each["kernel"] for each in fresh] == ["numba", "copy"]
    assert [each["count"] for each in (*fresh, *given)] == ["", "", "3 rows: 3 SAME"]


# The gate.


def test_the_gate_fails_for_what_is_slower_by_more_than_the_factor():
    found = compare(OLD, NEW, fail_slower=1.2)
    assert len(found.failures) == 1
    with pytest.raises(CheckFailed, match=rf"numba forward of {PROBLEM} takes 1\.\d\d× the time, 1\.\d\d× at least"):
        found.raise_if_failed()
    assert compare(OLD, NEW, fail_slower=1.4).failures == []


def test_the_whole_interval_must_be_above_the_factor():
    old, new = bench(row(samples=measured(0))), bench(row(samples=measured(1, 1.3)))
    found = compare(old, new).rows[0]
    assert found["low"] < found["ratio"]
    assert compare(old, new, fail_slower=math.nextafter(found["low"], 0)).failures
    assert not compare(old, new, fail_slower=found["low"]).failures


def test_what_was_right_and_is_wrong_now_fails():
    right, wrong = row(samples=measured(0)), row(verdict="WRONG")
    others = [row("numpy", samples=measured(1)), row("copy", "limit", measured(2))]
    for beside in (others, []):
        found = compare(bench(right, *beside), bench(wrong, *beside), fail_slower=1.1)
        assert found.failures == [f"numba forward has no time in new: it is WRONG: {PROBLEM}"]
    for old, new in ((wrong, right), (wrong, wrong)):
        assert compare(bench(old, *others), bench(new, *others), fail_slower=1.1).failures == []
    assert compare(bench(right, *others), bench(*others), fail_slower=1.1).failures == []  # it was not asked for
    assert compare(bench(right, *others), bench(wrong, *others)).failures == []


def test_what_is_unsure_does_not_fail_and_does_not_pass():
    old, new = bench(row(samples=[1.0, 1.0, 1.0, 1.0])), bench(row(samples=[9.0, 9.0, 9.0, 9.0]))
    found = compare(old, new, fail_slower=1.1)
    assert (found.rows[0]["verdict"], found.failures) == ("UNSURE", [])
    assert (found.rows[0]["gate"], found.unsure) == (
        "UNSURE",
        [f"numba forward of {PROBLEM}; a slowdown cannot be seen here"],
    )
    assert "too few or too noisy" in found.rows[0]["note"]
    assert found.rows[0]["floor"] is None
    assert "1 UNSURE" in found.rows[0]["count"]


@pytest.mark.parametrize(
    "environment", [HERE | {"cpu": "another"}, HERE | {"cores": 4}, {"numpy": "2.0"}, {}, HERE | {"cores": None}]
)
def test_another_machine_is_said_and_is_no_gate_unless_allowed(environment):
    elsewhere = bench(*NEW.rows, environment=environment)
    assert "the machines differ: old was measured on a cpu, 2 cores, new on" in compare(OLD, elsewhere).warnings[0]
    with pytest.raises(InputError, match="add --allow-different-machine"):
        compare(OLD, elsewhere, fail_slower=1.2)
    assert len(compare(OLD, elsewhere, fail_slower=1.2, allow_different_machine=True).failures) == 1


def test_other_software_is_said():
    other = bench(*NEW.rows, environment=HERE | {"numpy": "2.1", "numba": "0.62"})
    assert compare(OLD, other, fail_slower=1.4).warnings == [
        "the software differs: numpy 2.0 → 2.1, numba None → 0.62",
    ]


@pytest.mark.parametrize("factor", [0.9, 0.0, -1.0, math.nan, math.inf])
def test_a_factor_that_means_nothing_is_refused(factor):
    with pytest.raises(InputError, match="give a number of at least 1"):
        compare(OLD, NEW, fail_slower=factor)


def test_a_gate_with_nothing_to_compare_is_refused():
    limit = row("copy", "limit", measured(1))
    old, other = bench(row(samples=measured(0)), limit), bench(row("renamed", samples=measured(0)), limit)
    assert [each["verdict"] for each in compare(old, other).rows] == ["ONLY OLD", "SAME", "ONLY NEW"]
    for before, after in ((old, other), (old, bench()), (bench(row(verdict="WRONG"), limit), old)):
        with pytest.raises(InputError, match="no pass of new has a time in old, so nothing could fail"):
            compare(before, after, fail_slower=1.1)
