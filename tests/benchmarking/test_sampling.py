"""When to stop: planted samples, one more each round."""

import itertools

import numpy as np
import pytest

from bncli.benchmarking import sampling, statistics
from bncli.benchmarking.sampling import FEWEST, Rule, Stop, Watch, is_precise, judge


def noise(count, sigma, seed=0):
    return np.random.default_rng(seed).lognormal(0, sigma, count).tolist()


def stops_after(rule, *runs, round_time=0.01):
    """How many rounds it takes, and why it stops."""
    watch = Watch(rule)
    for rounds in range(1, len(runs[0]) + 1):
        found = watch.stop([run[:rounds] for run in runs], rounds * round_time)
        if found:
            return rounds, found
    return None


@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.05])
def test_precise_is_an_interval_narrower_than_one_percent(sigma):
    rounds, why = stops_after(Rule(100.0, 0.01), noise(9000, sigma), round_time=1.0 if sigma < 0.01 else 0.1)
    found = statistics.estimate(noise(9000, sigma)[:rounds])
    assert (why is Stop.PRECISE) == (found.high - found.low <= 0.01 * found.value)
    # The interval of a median of n normal samples is 2 * 1.96 * 1.2533 * sigma / sqrt(n) wide.
    assert rounds <= 3 * max(FEWEST, (2 * 1.96 * 1.2533 * sigma / 0.01) ** 2)


def test_all_must_be_precise_or_stable():
    quiet, loud = noise(4000, 0.001), noise(4000, 0.3, 1)
    assert judge([quiet, quiet], 0.01) is Stop.PRECISE
    assert judge([quiet, loud], 0.01) is Stop.STABLE
    drift = (np.linspace(1, 2, 4000) * loud).tolist()
    assert judge([quiet, drift], 0.01) is None
    assert judge([loud, drift], 0.01) is None


def test_noise_that_never_gets_precise_is_stable_in_the_end():
    rounds, why = stops_after(Rule(1000.0, 0.001), noise(4000, 0.2), round_time=1.0)
    assert why is Stop.STABLE
    assert rounds < 1000


def test_drift_runs_into_the_time():
    drift = (np.linspace(1, 3, 4000) * noise(4000, 0.1)).tolist()
    rounds, why = stops_after(Rule(20.0, 0.001), drift)
    assert (rounds, why) == (2000, Stop.TIME)


def test_no_precision_is_looked_for_where_none_is_wanted():
    assert stops_after(Rule(20.0, 0.0), [1.0] * 4000) == (2000, Stop.TIME)


def test_a_part_of_the_time_is_always_used():
    rounds, why = stops_after(Rule(20.0, 0.01), [1.0] * 4000)
    assert why is Stop.PRECISE
    assert rounds * 0.01 >= sampling.LEAST_SHARE * 20


def test_few_samples_are_never_precise():
    rounds, why = stops_after(Rule(1.0, 0.5), [1.0] * 100, round_time=0.9 / FEWEST)
    assert (rounds, why) == (FEWEST, Stop.PRECISE)


def test_it_looks_seldom(monkeypatch):
    looks = []
    monkeypatch.setattr(sampling, "judge", lambda samples, precision: looks.append(len(samples[0])))
    stops_after(Rule(1.0, 0.01), [1.0] * 999, round_time=1e-3)
    assert len(looks) < 12
    assert all(b >= 1.25 * a for a, b in itertools.pairwise(looks))


def test_precision_is_of_the_whole_width():
    samples = noise(400, 0.05)
    width = 2 * statistics.estimate(samples).precision
    assert is_precise(samples, 1.001 * width)
    assert not is_precise(samples, 0.999 * width)
