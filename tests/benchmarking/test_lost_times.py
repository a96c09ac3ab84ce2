"""Who loses its time: what goes wrong under load, or only when it is judged again."""

from dataclasses import replace

import numpy as np
import pytest

from bncli.benchmarking import timing
from bncli.benchmarking.bench import rows_of
from bncli.benchmarking.entries import MemoryEntry, PassEntry
from bncli.benchmarking.figures import estimates
from bncli.benchmarking.passes import MOVED, PassKey
from short_runs import NUMPY, SHORT, kernel, rows


def after(calls, do):
    """numpy's forward, which after so many calls does something else to what it returns, or has been given."""
    count = 0

    def forward(x, gamma, beta, epsilon, *, out=None):
        nonlocal count
        count += 1
        y, saved = NUMPY.forward(x, gamma, beta, epsilon, out=out)
        if count > calls:
            do(x, y)
        return y, saved

    return kernel(forward=forward)


LATE = 30  # calls: after the verification, before the end of the timing


def change_one(x, y):
    y[-1, -1, -1] += 1


def overwrite(x, y):
    x[0] = y[0]


def leave_unwritten(x, y):
    y[0] = np.nan


def fail(x, y):
    raise OverflowError("too many")


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (change_one, "mine loses its time: y is WRONG: at (4, 3, 3, 2) it is"),
        (leave_unwritten, "mine loses its time: y is WRONG: at (0, 0, 0, 0) it is nan"),
        (fail, "mine loses its time: a call is WRONG: it raised OverflowError: too many (test_lost_times.py, line "),
        (overwrite, "mine loses its time: its input is WRONG: it changed while kernels were timed"),
    ],
)
@pytest.mark.parametrize("outputs", ["fresh", "given"])
def test_what_goes_wrong_under_load_loses_its_time(make_case, do, said, outputs):
    found = rows(make_case("5x4x4x3"), after(LATE, do), settings=replace(SHORT, outputs=(outputs,)))
    row = found["mine", "forward"]
    assert row["verdict"] == "WRONG"
    assert row["note"].startswith(said)
    assert "median" not in row
    assert "samples" not in row
    if do not in (overwrite, fail):  # a backward has a forward of its own, which fails as well
        assert found["mine", "backward"]["median"] > 0


@pytest.mark.parametrize("error", [OverflowError("too late"), SystemExit("too late")])
def test_what_fails_only_when_it_is_judged_again_loses_its_time(make_case, monkeypatch, error):
    timed, interleave = [], timing.interleave
    monkeypatch.setattr(timing, "interleave", lambda *a, **options: timed.append(interleave(*a, **options)) or timed[0])

    def forward(x, gamma, beta, epsilon, *, out=None):
        if timed:
            raise error
        return NUMPY.forward(x, gamma, beta, epsilon, out=out)

    row = rows(make_case("5x4x4x3"), kernel(forward=forward))["mine", "forward"]
    said = (
        f"mine loses its time: a call is WRONG: it raised {type(error).__name__}: too late (test_lost_times.py, line "
    )
    assert row["note"].startswith(said)
    assert "median" not in row


def test_progress_shows_the_medians_so_far_of_the_first_pass():
    samples = {
        PassEntry(PassKey("numpy", "forward")): [3e-3, 1e-3, 2e-3],
        PassEntry(PassKey("mine", "forward")): [],
        PassEntry(PassKey("late", "forward", threads=2)): [5e-6],
        PassEntry(PassKey("late", "forward", threads=4)): [1.0],
        PassEntry(PassKey("numpy", "backward")): [1.0],
        PassEntry(PassKey("numpy", "forward"), again=True): [1.0],
        MemoryEntry("copy", "loop", "warm", None): [1.0],
    }
    assert estimates(samples) == "forward numpy 2.00 ms, late 5.00 µs"
    assert estimates(dict.fromkeys(samples, ())) == ""


@pytest.mark.slow
def test_what_goes_wrong_only_later_was_right_when_it_was_timed(make_case):
    row = rows(make_case("5x4x4x3"), after(10**9, change_one))["mine", "forward"]
    assert (row["verdict"], row["note"]) == ("PASS", "")
    assert row["median"] > 0


@pytest.mark.parametrize("do", [overwrite, change_one, fail])
def test_what_is_wrong_from_the_first_call_is_not_timed_and_disturbs_nobody(make_case, do):
    found = rows(make_case("5x4x4x3"), after(0, do), replace(NUMPY, name="numpy"))
    for direction in ("forward", "backward"):
        assert found["mine", direction]["verdict"] == "WRONG" or do is change_one
        assert "median" not in found["mine", direction]
        assert found["numpy", direction]["verdict"] == "PASS"
        assert found["numpy", direction]["median"] > 0
    assert found["mine", "forward"]["note"].startswith("mine is not timed: ")
    if do is overwrite:
        assert found["mine", "forward"]["note"].endswith("it writes into x, dy, gamma or beta")


@pytest.mark.parametrize("key", [id, lambda array: array.ctypes.data])
@pytest.mark.parametrize("shape", ["5x4x4x3", "2x3/float32", pytest.param("100x2000", marks=pytest.mark.slow)])
def test_an_answer_kept_by_address_is_found_out(make_case, key, shape):
    answers = {}

    def kept(function):
        def call(array, *given, out=None):
            address = function, *(key(each) for each in (array, *given) if isinstance(each, np.ndarray))
            if address not in answers:
                answers[address] = function(array, *given), array, given
            return answers[address][0]

        return call

    mine = kernel(forward=kept(NUMPY.forward), backward=kept(NUMPY.backward), infer=kept(NUMPY.infer))
    found = rows(make_case(shape), mine, settings=replace(SHORT, directions=("forward", "backward", "infer")))
    for direction, array in (("forward", "y"), ("backward", "dx"), ("infer", "infer")):
        note = found["mine", direction]["note"]
        cached = f"mine loses its time: {array} is WRONG: it is the same for other contents of the same arrays"
        # The dx of two samples is 0, whatever they are.
        assert note.startswith(cached) or (shape.startswith("2x3") and note.endswith("an earlier call was kept"))


@pytest.mark.parametrize("shape", ["1x4", "2x3", "2x3/float16", "3x5x1/channels-first"])
@pytest.mark.parametrize("constant", [False, True])
def test_small_and_constant_data_cast_no_suspicion(make_case, shape, constant):
    case = make_case(shape, std=0.0 if constant else 1.0)
    for row in rows_of(case, [NUMPY], replace(SHORT, outputs=("fresh", "given"), directions=tuple(MOVED))):
        assert row.get("verdict", "PASS") == "PASS"


def test_other_bits_that_are_right_keep_their_time(make_case):
    rng = np.random.default_rng(0)

    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon, out=out)
        y += rng.choice([-1, 0, 1], y.shape) * np.spacing(y)
        return y, saved

    row = rows(make_case("5x4x4x3"), kernel(forward=forward))["mine", "forward"]
    assert row["verdict"] == "PASS"
    assert row["median"] > 0


def test_timed_arrays_are_ordinary_ones(make_case):
    seen = []

    def forward(x, gamma, beta, epsilon, *, out=None):
        seen.extend((x, gamma, beta))
        return NUMPY.forward(x, gamma, beta, epsilon, out=out)

    def backward(dy, saved, *, out=None):
        seen.append(dy)
        return NUMPY.backward(dy, saved, out=out)

    rows(make_case("5x4x4x3"), kernel(forward=forward, backward=backward))
    assert all(array.flags.carray and array.ctypes.data % 64 == 0 for array in seen)


def test_inference_is_checked_after_too(make_case):
    count = 0

    def infer(x, gamma, beta, mean, var, epsilon, *, out=None):
        nonlocal count
        count += 1
        y = NUMPY.infer(x, gamma, beta, mean, var, epsilon, out=out)
        return y if count <= LATE else y + 1

    settings = replace(SHORT, directions=("infer",))
    row = rows(make_case("5x4x4x3"), kernel(infer=infer), settings=settings)["mine", "infer"]
    assert row["note"].startswith("mine loses its time: infer is WRONG")
    fine = rows(make_case("5x4x4x3"), NUMPY, settings=settings)["numpy", "infer"]
    assert fine["median"] > 0
