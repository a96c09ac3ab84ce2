"""The verdict of two runs: planted slowdowns, and the same code again."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.comparison import verdicts as judging
from bncli.comparison.compare import compare
from bncli.comparison.verdicts import LEAST_FLOOR, Verdict
from measured_runs import bench, measured, row


def said(*runs, **more):
    """What is said of two runs."""
    return judging.agreed(judging.compare(*runs, **more))


def verdicts(factor, runs=200, **settings):
    """How often each verdict is the one on two runs, the second slower by ``factor``."""
    return Counter(
        said(measured(2 * i, **settings), measured(2 * i + 1, factor, **settings)).verdict for i in range(runs)
    )


@pytest.mark.parametrize("count", [30, 100, 400])
def test_the_same_code_is_the_same_in_99_of_100(count):
    found = verdicts(1.0, count=count)
    assert found[Verdict.SAME] >= 0.99 * found.total()
    assert found[Verdict.SLOWER] == found[Verdict.FASTER] == 0


def test_15_percent_is_slower_and_2_percent_is_not():
    found = verdicts(1.15)
    assert found[Verdict.SLOWER] >= 0.99 * found.total()
    assert verdicts(1 / 1.15)[Verdict.FASTER] >= 0.99 * found.total()
    assert set(verdicts(1.02)) <= {Verdict.SAME, Verdict.UNSURE}


def test_a_noisy_machine_makes_unsure_and_not_slower():
    restless = {"sigma": 0.1, "drift": 0.05, "level": 0.01}
    found = verdicts(1.0, **restless)
    assert found[Verdict.SLOWER] + found[Verdict.FASTER] == 0
    found = verdicts(1.15, **restless | {"drift": 0.03})
    assert found[Verdict.SAME] <= 0.02 * found.total()


def test_a_slow_second_half_is_noise_and_not_a_slowdown():
    steady = measured(0, drift=0, outliers=0)
    slowed = [s * (1.3 if i >= 40 else 1.0) for i, s in enumerate(measured(1, drift=0, outliers=0))]
    found = said(steady, slowed)
    assert found.ratio.low > 1.2
    assert found.floor > 0.3
    assert found.verdict is Verdict.UNSURE


def test_two_modes_that_alternate_are_noise():
    def modes(seed):
        rng = np.random.default_rng(seed)
        return np.where(rng.random(100) < 0.5, 1.5, 1.0) * rng.lognormal(0, 0.01, 100)

    found = Counter(said(modes(2 * i), modes(2 * i + 1)).verdict for i in range(100))
    assert found[Verdict.UNSURE] >= 95


def test_the_floor_is_never_below_what_one_process_cannot_show():
    found = said([1.0] * 100, [1.06] * 100)
    assert (found.floor, found.verdict) == (LEAST_FLOOR, Verdict.SAME)
    assert said([1.0] * 100, [1.08] * 100).verdict is Verdict.SLOWER
    assert said([1.08] * 100, [1.0] * 100).verdict is Verdict.FASTER


FACTORS = [1.00, 1.05, 0.95, 1.02, 0.98]  # by which processes differ


@pytest.mark.parametrize("number", [5, 2])
def test_what_processes_differ_by_is_trusted_where_there_are_five(number):
    samples = np.repeat(FACTORS, 10)
    counts = [[50 // number] * number] * 2
    by_blocks = judging.noise_floor(samples, samples)
    assert by_blocks == pytest.approx(math.expm1(3 * math.sqrt(2) * np.std(np.log(FACTORS * 2), ddof=1)))
    by_processes = math.expm1(3 * math.sqrt(2 / 5) * np.std(np.log(FACTORS), ddof=1))
    assert judging.noise_floor(samples, samples, counts) == pytest.approx(by_processes if number == 5 else by_blocks)
    slower = [row(samples=(samples * factor).tolist()) | {"processes": counts[0]} for factor in (1.0, 1.14)]
    (found,) = compare(*map(bench, slower)).rows
    assert found["verdict"] == ("SLOWER" if number == 5 else "UNSURE")


def test_processes_that_agree_are_not_trusted_beyond_the_least_floor():
    assert judging.noise_floor([1.0] * 50, [1.0] * 50, [[10] * 5] * 2) == LEAST_FLOOR


@pytest.mark.parametrize("few", [[1.0], [1.0] * 4])
@pytest.mark.parametrize("factor", [1.0, 1.09, 9.0])
def test_few_samples_tell_nothing(few, factor):
    many = [factor] * 100
    for found in (said(few, many), said(many, few)):
        assert (found.floor, found.verdict) == (math.inf, Verdict.UNSURE)


def test_chaos_tells_nothing():
    chaos = [1.0, 1e3] * 3
    assert said(chaos, [1e6] * 100).verdict is Verdict.UNSURE


@given(st.lists(st.floats(1e-9, 1e3), min_size=5, max_size=50), st.floats(1.2, 100))
def test_a_verdict_does_not_depend_on_the_unit_and_turns_with_the_files(samples, factor):
    slower = [factor * s for s in samples]
    found, turned = said(samples, slower), said(slower, samples)
    assert {found.verdict, turned.verdict} in ({Verdict.SLOWER, Verdict.FASTER}, {Verdict.UNSURE})
    scaled = said([8 * s for s in samples], [8 * s for s in slower])
    assert (scaled.ratio, scaled.verdict) == (found.ratio, found.verdict)
    assert scaled.floor == pytest.approx(found.floor)
