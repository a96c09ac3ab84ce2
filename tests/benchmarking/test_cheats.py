"""Kernels that cheat: each has no gain, loses its time, or is named."""

import threading
import time
from collections import deque
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from bncli.benchmarking import timing
from short_runs import NUMPY, SHORT, kernel, rows

SHAPES = ("5x4x4x3", "200x1000/float32")  # many copies of the inputs, and one


@pytest.fixture
def timed(monkeypatch):
    """A list that is not empty while kernels are timed."""
    running, interleave = [], timing.interleave

    def watched(*given, **options):
        running.append(True)
        try:
            return interleave(*given, **options)
        finally:
            running.clear()

    monkeypatch.setattr(timing, "interleave", watched)
    return running


@pytest.mark.parametrize("shape", SHAPES)
def test_a_backward_that_keeps_its_work_in_saved_finds_nothing_there(make_case, timed, shape):
    hits = calls = 0

    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon, out=out)
        return y, [saved, None]

    def backward(dy, saved, *, out=None):
        nonlocal hits, calls
        calls, hits = calls + bool(timed), hits + (bool(timed) and saved[1] is not None)
        saved[1] = saved[1] or NUMPY.backward(dy, saved[0])
        return saved[1]

    assert rows(make_case(shape), kernel(forward=forward, backward=backward))["mine", "backward"]["median"] > 0
    assert calls > 5
    assert hits == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outputs", ["fresh", "given"])
@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_a_kernel_whose_saved_can_be_used_once_is_timed_like_any_other(make_case, monkeypatch, shape, outputs, cache):
    monkeypatch.setattr("bncli.benchmarking.buffers.last_level_cache", lambda: 8192)

    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon, out=out)
        return y, [saved]

    def backward(dy, saved, *, out=None):
        return NUMPY.backward(dy, saved.pop(), out=out)

    settings = replace(SHORT, directions=("forward", "backward", "step"), outputs=(outputs,), caches=(cache,))
    found = rows(make_case(shape), kernel(forward=forward, backward=backward), settings=settings)
    for direction in settings.directions:
        row = found["mine", direction]
        assert (row["verdict"], row["note"]) == ("PASS", "")
        assert row["median"] > 0
    assert found["mine", "backward"]["pool"] == found["mine", "backward"]["copies"]


@pytest.mark.parametrize("shape", SHAPES)
def test_contents_never_occur_again_so_a_cache_by_contents_is_never_hit(make_case, timed, shape):
    known, hits = {}, 0

    def cached(function, *given, key):
        nonlocal hits
        if key in known:
            hits += bool(timed)
        else:
            known[key] = function(*given)
        return known[key]

    def forward(x, gamma, beta, epsilon, *, out=None):
        return cached(NUMPY.forward, x, gamma, beta, epsilon, key=x.tobytes())

    def backward(dy, saved, *, out=None):
        return cached(NUMPY.backward, dy, saved, key=dy.tobytes())

    rows(make_case(shape), kernel(forward=forward, backward=backward))
    assert len(known) > 20
    assert hits == 0


def lost(case, **functions):
    """The note on a forward that is not timed, or has lost its time."""
    row = rows(case, kernel(**functions))["mine", "forward"]
    assert row["verdict"] == "WRONG"
    assert "median" not in row
    return row["note"]


@pytest.mark.parametrize("shape", ["100x20", "200x1000/float32"])
def test_a_cache_by_some_of_the_contents_loses_its_time(make_case, shape):
    known = {}

    def forward(x, gamma, beta, epsilon, *, out=None):
        key = x[0].tobytes(), x[-1].tobytes(), float(x[50].sum())
        if key not in known:
            known[key] = NUMPY.forward(x, gamma, beta, epsilon)
        return known[key]

    assert "so it was cached" in lost(make_case(shape), forward=forward)


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_of_an_earlier_call_lose_the_time(make_case, shape):
    known = {}

    def forward(x, gamma, beta, epsilon, *, out=None):
        if x.ctypes.data not in known:
            known[x.ctypes.data] = x, NUMPY.forward(x, gamma, beta, epsilon)[1]
        saved = known[x.ctypes.data][1]
        y = (x - saved.mean[:, None]) * (gamma * saved.inv_std)[:, None] + beta[:, None]
        return y.astype(x.dtype), saved._replace(x=x)

    note = lost(make_case(shape), forward=forward)
    assert note.endswith("it is wrong once x is half as large, so something of an earlier call was kept")


@pytest.mark.parametrize("shape", SHAPES)
def test_work_that_is_put_off_until_after_the_return_is_wrong(make_case, shape):
    threads = []

    def forward(x, gamma, beta, epsilon, *, out=None):
        y = np.full_like(x, np.nan)

        def fill():
            time.sleep(0.01)
            NUMPY.forward(x, gamma, beta, epsilon, out=y)

        threads.append(threading.Thread(target=fill))
        threads[-1].start()
        return y, NUMPY.forward(x, gamma, beta, epsilon)[1]

    assert "y is WRONG" in lost(make_case(shape), forward=forward)
    for thread in threads:
        thread.join()


def test_float32_inside_is_no_float64(make_case):
    def forward(x, gamma, beta, epsilon, *, out=None):
        given = (array.astype(np.float32) for array in (x, gamma, beta))
        y, saved = NUMPY.forward(*given, epsilon)
        return y.astype(x.dtype), saved

    assert "y is WRONG" in lost(make_case("5x4x4x3"), forward=forward)


@pytest.mark.parametrize("shape", ["5x4x4x3", "200x1000/float32"])
@pytest.mark.parametrize("count", [2, 4, 16])
def test_buffers_that_are_used_in_turns_are_no_fresh_outputs(make_case, shape, count):
    case = make_case(shape)
    turns = cycle([np.empty_like(case.x) for _ in range(count)])

    def forward(x, gamma, beta, epsilon, *, out=None):
        return NUMPY.forward(x, gamma, beta, epsilon, out=next(turns) if out is None else out)

    assert "it lies in the memory of an earlier result" in lost(case, forward=forward)


@pytest.mark.parametrize("shape", SHAPES)
def test_work_that_is_skipped_where_calls_follow_each_other_quickly_loses_the_time(make_case, shape):
    last = deque([(0.0, None)], maxlen=1)

    def forward(x, gamma, beta, epsilon, *, out=None):
        when, found = last[0]
        if found is None or time.perf_counter() - when > 1e-3:
            found = NUMPY.forward(x, gamma, beta, epsilon)
        last.append((time.perf_counter(), found))
        return found

    assert "y is WRONG" in lost(make_case(shape), forward=forward)
