"""Search: the verdicts, what is found of wrong kernels, and that right ones pass."""

import dataclasses
import functools

import numpy as np
import pytest

from bncli.verification.finding import Verdict
from bncli.verification.search import call_history, confirming, narrowing, trial, written_cases
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.searching import search
from search_kernels import GOOD, OWN_TYPE, RIGHT, WRONG, backward, changed, doubled, forward, infer, one_pass

FEW = 12  # that are tried without the slow tests


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[pytest.mark.slow] * (i >= FEW)) for i, fault in enumerate(WRONG)]
)
def test_a_fault_is_found(fault):
    outcome = search(WRONG[fault](), 60, cases=len(written_cases.TELLING) + len(written_cases.PATHS), narrowed=False)
    assert outcome.wrong is outcome.first is not None, fault
    assert outcome.counts[Verdict.WRONG] == 1
    assert outcome.wrong.findings or outcome.wrong.reason


@pytest.mark.parametrize(
    ("cases", "name"),
    [
        *((30, name) for name in ("float64 inside", "x's own type", "refuses", "single use")),
        *(pytest.param(90, name, marks=pytest.mark.slow) for name in GOOD),
    ],
)
def test_a_right_kernel_is_never_wrong(name, cases):
    outcome = search(GOOD[name], 60, list(GOOD).index(name), cases=cases)
    assert outcome.wrong is None, f"{outcome.wrong.line}: {outcome.wrong.findings[:1]} {outcome.wrong.reason}"
    assert outcome.problems == cases
    assert outcome.single_use == (name == "single use")
    assert (outcome.counts[Verdict.REFUSED] > 0) == (name == "refuses")


# Verdicts


def verdict(kernel, text):
    return trial.run(kernel, CaseLine.parse(text))


def test_digits_lost_far_from_0_are_inexact_and_one_pass_is_wrong():
    far = "200x4/per-activation/float32/eps=1e-05 data=+1e6"
    assert verdict(OWN_TYPE, far).verdict is Verdict.INEXACT
    assert verdict(RIGHT, far).verdict is Verdict.PASS
    assert verdict(dataclasses.replace(OWN_TYPE, forward=one_pass), far).verdict is Verdict.WRONG


def test_squares_beyond_the_range_of_the_type_are_inexact_and_said():
    tried = verdict(OWN_TYPE, "20x4/per-activation/float32/eps=1e-05 data=x1e20")
    assert tried.verdict is Verdict.INEXACT
    assert "squares of deviations are beyond the 3.4e+38" in tried.reason


def test_a_product_below_the_normal_numbers_may_lose_digits_before_inv_std_follows():
    def gamma_first(x, gamma, beta, mean, var, epsilon, *, out=None):
        product = gamma[:, None] * (x - mean[:, None])
        return (product / np.sqrt(var + epsilon)[:, None] + beta[:, None]).astype(x.dtype)

    small = "9x4x4/channels-first/float32/eps=1e-05 data=subnormal beta=zeros"
    for seed in range(20):
        tried = verdict(dataclasses.replace(RIGHT, infer=gamma_first), f"{small} seed={seed}")
        assert tried.verdict is Verdict.PASS, tried
        assert verdict(WRONG["subnormal x becomes 0"](), f"{small} seed={seed}").verdict is Verdict.WRONG


@pytest.mark.parametrize("error", [ValueError, TypeError, NotImplementedError, np.linalg.LinAlgError])
def test_a_kernel_may_refuse_what_not_every_kernel_does_and_nothing_else(error):
    def refuse(*given, out=None):
        raise error("no")

    kernel = dataclasses.replace(RIGHT, forward=refuse)
    for text in ("1x9", "9x3/eps=0", "9x3 memory=x[::2]", "9x3 data=nan"):
        assert verdict(kernel, text).verdict is Verdict.REFUSED
    for text in ("9x3", "9x3 memory=read-only", "9x3 history=20f20b"):
        assert verdict(kernel, text).verdict is Verdict.WRONG


def test_another_exception_is_wrong():
    def fail(*given, out=None):
        raise ZeroDivisionError("division by zero")

    tried = verdict(dataclasses.replace(RIGHT, forward=fail), "1x9")
    assert tried.verdict is Verdict.WRONG
    assert "ZeroDivisionError: division by zero" in tried.reason


def test_data_that_show_nothing_are_undecided():
    assert verdict(dataclasses.replace(RIGHT, infer=None), "1x9/eps=0").verdict in (
        Verdict.UNDECIDED,
        Verdict.PASS,  # dbeta can be judged
    )


def test_memory_that_there_is_not_is_not_tried(monkeypatch):
    monkeypatch.setattr(trial, "MOST_BYTES", 1)
    tried = verdict(RIGHT, "300x300")
    assert tried.verdict is Verdict.NOT_TRIED


def test_results_that_are_overwritten_are_named():
    y = {}

    def shared(x, gamma, beta, epsilon, *, out=None):
        into = y.setdefault((x.shape, x.dtype), np.empty_like(x))
        return forward(x, gamma, beta, epsilon, out=into)

    tried = verdict(dataclasses.replace(RIGHT, forward=shared), "6x4 history=3f3b")
    assert tried.reason == "a later call overwrites y"


def test_chance_is_named_with_the_repeats_that_show_it(monkeypatch):
    # So that the number of calls, and all that is drawn, does not depend on the machine's speed.
    monkeypatch.setattr(confirming, "COUNTED", 12)
    monkeypatch.setattr(confirming, "COUNTING", np.inf)
    monkeypatch.setattr(narrowing, "RUNS", 100)
    rng = np.random.default_rng(1)
    kernel = changed(lambda dy: rng.random() < 0.2, doubled, of="dgamma")
    outcome = search(kernel, 60, cases=44)
    assert outcome.odds > 0
    assert "differs from call to call, on the same data" in outcome.wrong.reason
    assert trial.run(kernel, CaseLine.parse(str(outcome.wrong.line))).verdict is Verdict.WRONG


def test_a_chance_that_came_up_each_time_is_repeated_all_the_same(monkeypatch):
    monkeypatch.setattr(confirming, "COUNTED", 9)
    rng = np.random.default_rng(2)

    def scale(dgamma):
        dgamma *= 2 + rng.random()

    kernel = changed(change=scale, of="dgamma")
    confirmed, odds = confirming.confirmed(
        trial.run(kernel, CaseLine.parse("9x4")), functools.partial(trial.run, kernel)
    )
    assert odds == 0.9
    assert confirmed.line.repeats == 2
    assert confirmed.reason == "it differs from call to call, on the same data: wrong 10 of 10 times"


# The search as a whole


def test_a_search_ends_in_time_and_counts():
    seen = []
    outcome = search(RIGHT, 0.3, 5, progress=lambda outcome: seen.append(outcome.problems))
    assert 0.3 <= outcome.seconds < 5
    assert seen == list(range(1, outcome.problems + 1))
    assert outcome.largest > 0
    assert outcome.histories > 0


def test_threads_are_set_for_the_calls_and_put_back():
    counts = []
    kernel = dataclasses.replace(RIGHT, set_threads=lambda count: counts.append(count) or 5)
    assert verdict(kernel, "6x4 threads=3").verdict is Verdict.PASS
    assert counts == [3, 5]


def test_the_calls_of_a_history_are_those_it_says():
    calls = []

    def noted(name, function):
        @functools.wraps(function)
        def call(*given, **options):
            calls.append(name)
            return function(*given, **options)

        return call

    kernel = dataclasses.replace(
        RIGHT, forward=noted("f", forward), backward=noted("b", backward), infer=noted("i", infer)
    )
    verdict(kernel, "6x4 history=3f3b2(fb)i")
    assert "".join(calls) == "fffbbbfbfbi" == call_history.steps("3f3b2(fb)i")
