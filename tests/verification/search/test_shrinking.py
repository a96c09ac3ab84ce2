"""A WRONG case becomes small and plain, and stays wrong in the same way."""

import dataclasses

import pytest

from bncli.core.kernel import Gradients
from bncli.verification.finding import Verdict
from bncli.verification.search import narrowing, trial
from bncli.verification.search.attempts import Attempts
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.shrinking import shrunk
from search_kernels import RIGHT, WRONG, adds_up, backward, changed, doubled, forward, infer

DRAWN = "13x21x8/channels-first/float32/eps=0.001 data=+10 gamma=negative dy=x1000 memory=x[::2],read-only seed=5"


def shrunk_line(make, case, seconds=60):
    kernel = dataclasses.replace(make(), anew=make)
    wrong = trial.run(make(), CaseLine.parse(case))
    assert wrong.verdict is Verdict.WRONG
    attempts = Attempts(kernel)
    attempts.allow(seconds)
    smallest = shrunk(wrong, attempts)
    assert trial.run(make(), smallest.line).verdict is Verdict.WRONG
    return str(smallest.line)


@pytest.mark.parametrize(
    ("make", "case", "smallest"),
    [
        (lambda: changed(change=doubled), DRAWN, "6x3/per-activation/float64/eps=1e-05 seed=5"),
        (WRONG["inner a multiple of 4"], DRAWN, "2x3x4/channels-first/float64/eps=1e-05 seed=5"),
        (WRONG["more than 256 samples"], "40x9x50 seed=2", "257x3/per-activation/float64/eps=1e-05 seed=2"),
        (WRONG["inner == F"], "3x12x12/channels-first/float64/eps=1 seed=2",
         "1x6x6/channels-first/float64/eps=1e-05 seed=2"),
        (WRONG["gamma all 1"], "9x5 gamma=ones beta=x10 dy=noise", "6x3/per-activation/float64/eps=1e-05 gamma=ones"),
        (WRONG["NaN becomes 0"], "9x5 data=decades-2,nan", "6x3/per-activation/float64/eps=1e-05 data=nan"),
        (WRONG["backward takes dy for contiguous"], "8x5x6/channels-first memory=x:fortran,dy[::2]",
         "6x3/per-activation/float64/eps=1e-05 memory=dy[::2]"),
        (WRONG["saved lies in 8 buffers"], "8x6 history=20f20bi", "6x3/per-activation/float64/eps=1e-05 history=9f9b"),
        (adds_up, "8x6 history=3f3bi", "6x3/per-activation/float64/eps=1e-05 history=f2b"),
        (WRONG["a second backward crashes"], "8x6 history=fobf3bi", "6x3/per-activation/float64/eps=1e-05 history=f2b"),
    ],
)  # fmt: skip
def test_what_does_not_matter_is_left_out(make, case, smallest):
    assert shrunk_line(make, case.replace("40x9x50", "40x9x50/channels-first")) == smallest
    assert shrunk_line(make, case.replace("40x9x50", "40x9x50/channels-first")) == smallest


def test_a_value_error_does_not_become_another_fault():
    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        if x.shape[1] < 5:
            raise ZeroDivisionError("division by zero")
        y, saved = forward(x, gamma, beta, epsilon, out=out)
        y *= 2
        return y, saved

    def wrong_backward(dy, saved, *, out=None):
        found = Gradients(*backward(dy, saved, out=out))
        found.dbeta[...] = 0
        return found

    def make():
        return dataclasses.replace(RIGHT, forward=wrong_forward, backward=wrong_backward)

    assert shrunk_line(make, "13x21x8/channels-first/float32/eps=0.001") == "6x5/per-activation/float64/eps=1e-05"


def test_shrinking_ends_when_its_time_is_up():
    assert shrunk_line(lambda: changed(change=doubled), DRAWN, seconds=0) == DRAWN


def test_a_history_stays_where_calls_before_may_be_what_fails(monkeypatch):
    monkeypatch.setattr(narrowing, "RULING", 0)
    kernel = changed(change=doubled)
    wrong = trial.run(kernel, CaseLine.parse("8x5 history=20f20bi"))
    assert narrowing.narrow(kernel, wrong, (), lambda line: None).smallest.line.history == "20f20bi"


def test_what_only_the_cases_before_make_wrong_is_neither_shrunk_nor_given_a_rule():
    state = []

    def wrong_infer(*given, out=None):
        state.append(None)
        y = infer(*given, out=out)
        return 2 * y if len(state) > 3 else y

    kernel = dataclasses.replace(RIGHT, infer=wrong_infer)
    passed = CaseLine.parse("7x4 seed=1")
    assert trial.run(kernel, passed).verdict is Verdict.PASS
    trial.run(kernel, CaseLine.parse("7x4 history=2i"))
    wrong = trial.run(kernel, CaseLine.parse("30x20 seed=2"))
    found = narrowing.narrow(kernel, wrong, (passed,), lambda line: None)
    assert (found.smallest.line, found.rule) == (wrong.line, "")
