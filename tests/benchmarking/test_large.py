"""Large arrays: each check makes as few calls as it can, and still finds who cheats."""

from itertools import cycle

import numpy as np
import pytest

from bncli.benchmarking import buffers, passes, rechecks
from bncli.benchmarking.judging import Judged, Space
from short_runs import NUMPY, kernel, rows

SHAPE = "64x40/float32"


@pytest.fixture(autouse=True)
def large(monkeypatch):
    for module in (buffers, passes):
        monkeypatch.setattr(module, "LARGE", 0)
    monkeypatch.setattr(rechecks, "ALIVE_BYTES", 0)


def note(case, direction="forward", **functions):
    return rows(case, kernel(**functions))["mine", direction]["note"]


def test_a_right_kernel_keeps_its_time(make_case):
    found = rows(make_case(SHAPE), kernel())
    assert all(found["mine", direction]["median"] > 0 for direction in ("forward", "backward"))


def test_two_buffers_in_turns_are_no_fresh_outputs(make_case):
    case = make_case(SHAPE)
    turns = cycle([np.empty_like(case.x) for _ in range(2)])

    def forward(x, gamma, beta, epsilon, *, out=None):
        return NUMPY.forward(x, gamma, beta, epsilon, out=next(turns) if out is None else out)

    assert "y is WRONG: it lies in the memory of an earlier result" in note(case, forward=forward)


def test_an_answer_kept_by_address_is_found_out(make_case):
    answers = {}

    def forward(x, *given, out=None):
        if id(x) not in answers:
            answers[id(x)] = NUMPY.forward(x, *given), x
        return answers[id(x)][0]

    assert "it is the same for other contents of the same arrays" in note(make_case(SHAPE), forward=forward)


def test_sums_of_an_earlier_call_are_found_out(make_case):
    sums = []

    def backward(dy, saved, *, out=None):
        sums.append(NUMPY.backward(dy, saved))
        dx, _, _ = sums[-1]
        return dx, *sums[0][1:]

    said = note(make_case(SHAPE), "backward", backward=backward)
    assert said.endswith("it is wrong once x and dy are half as large, so something of an earlier call was kept")


def test_the_checks_after_timing_make_no_more_calls_than_they_need(make_case):
    calls = []

    def forward(x, gamma, beta, epsilon, *, out=None):
        calls.append(x.shape)
        return NUMPY.forward(x, gamma, beta, epsilon, out=out)

    case = make_case(SHAPE)
    space = Space("warm", buffers.inputs_for(case), [])
    (timed,) = passes.passes(kernel(forward=forward), space.inputs.copies, ("forward",))
    before = len(calls)
    assert before == 1
    digests = {"y": buffers.digest(NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[0])}
    assert rechecks.after(Judged(timed, None, digests), kernel(forward=forward), space, 1) is None
    copies = len(space.inputs.copies)
    assert len(calls) - before == 1 + copies + 1 + 1
