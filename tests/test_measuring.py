"""One problem measured: what is timed beside what, and who loses its time."""

from dataclasses import replace

import numpy as np
import pytest

from bncli.benchmarking import buffers, timing
from bncli.benchmarking.bench import rows_of
from bncli.benchmarking.conditions import Surroundings
from bncli.benchmarking.entries import CLOCK, FORK_JOIN, MemoryEntry, PassEntry
from bncli.benchmarking.figures import Outcome, Rounds, estimates
from bncli.benchmarking.passes import MOVED, PassKey
from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.settings import Settings
from bncli.benchmarking.summary import summary
from bncli.benchmarking.timing import Sampled, Sampling
from bncli.core.kernel import Kernel
from bncli.loading.registry import load_kernel
from planted import bench_row, typed

NUMPY = load_kernel("numpy")
SHORT = Settings(max_time=0.0)


def kernel(name="mine", **functions):
    return Kernel(**({"forward": NUMPY.forward, "backward": NUMPY.backward} | functions), name=name)


def rows(case, *kernels, settings=SHORT):
    return {(row["kernel"], row["direction"]): row for row in rows_of(case, kernels, settings)}


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


def spoil_one(x, y):
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
        (spoil_one, "mine loses its time: y is WRONG: at (4, 3, 3, 2) it is"),
        (leave_unwritten, "mine loses its time: y is WRONG: at (0, 0, 0, 0) it is nan"),
        (fail, "mine loses its time: a call is WRONG: it raised OverflowError: too many (test_measuring.py, line "),
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
    if do is not overwrite:
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
    said = f"mine loses its time: a call is WRONG: it raised {type(error).__name__}: too late (test_measuring.py, line "
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


def test_what_goes_wrong_only_later_was_right_when_it_was_timed(make_case):
    row = rows(make_case("5x4x4x3"), after(10**9, spoil_one))["mine", "forward"]
    assert (row["verdict"], row["note"]) == ("PASS", "")
    assert row["median"] > 0


@pytest.mark.parametrize("do", [overwrite, spoil_one, fail])
def test_what_is_wrong_from_the_first_call_is_not_timed_and_disturbs_nobody(make_case, do):
    found = rows(make_case("5x4x4x3"), after(0, do), replace(NUMPY, name="numpy"))
    for direction in ("forward", "backward"):
        assert found["mine", direction]["verdict"] == "WRONG" or do is spoil_one
        assert "median" not in found["mine", direction]
        assert found["numpy", direction]["verdict"] == "PASS"
        assert found["numpy", direction]["median"] > 0
    assert found["mine", "forward"]["note"].startswith("mine is not timed: ")
    if do is overwrite:
        assert found["mine", "forward"]["note"].endswith("it writes into x, dy, gamma or beta")


@pytest.mark.parametrize("key", [id, lambda array: array.ctypes.data])
@pytest.mark.parametrize("shape", ["5x4x4x3", "2x3/float32", "100x2000"])
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
        said = f"mine loses its time: {array} is WRONG: it is the same for other contents of the same arrays"
        assert found["mine", direction]["note"].startswith(said)


@pytest.mark.parametrize("shape", ["1x4", "2x3", "2x3/float16", "3x5x1/channels-first"])
@pytest.mark.parametrize("constant", [False, True])
def test_small_and_constant_data_cast_no_suspicion(make_case, shape, constant):
    case = make_case(shape, std=0.0 if constant else 1.0)
    for outputs in ("fresh", "given"):
        for row in rows_of(case, [NUMPY], replace(SHORT, outputs=(outputs,), directions=tuple(MOVED))):
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


# What is timed beside what.


def test_the_same_kernel_is_timed_with_several_threads_in_turns(make_case):
    bound, timed_with = [7], []

    def set_threads(count):
        before, bound[0] = bound[0], count
        return before

    def forward(x, gamma, beta, epsilon, *, out=None):
        timed_with.append(bound[0])
        return NUMPY.forward(x, gamma, beta, epsilon, out=out)

    mine = kernel(forward=forward, set_threads=set_threads)
    found = rows_of(make_case("50x100x20"), [NUMPY, mine], replace(SHORT, directions=("forward",), threads=(1, 2)))
    assert [(row["kernel"], row["threads"]) for row in found] == [
        ("numpy", None), ("mine", 1), ("mine", 2), ("copy", 1), ("copy", 2),
    ]  # fmt: skip
    assert all(row["speedup"] > 0 and row["of_limit"] > 0 for row in found[:3])
    assert set(timed_with[2:]) == {1, 2}
    assert timed_with.count(1) > 5
    assert timed_with.count(2) > 5
    assert bound == [7]


def test_without_a_number_of_threads_nothing_is_bound(make_case):
    def set_threads(count):
        raise AssertionError

    found = rows(make_case("5x4"), kernel(set_threads=set_threads))
    assert found["mine", "forward"]["threads"] is None


def test_warm_and_cold_stand_side_by_side(make_case, monkeypatch):
    monkeypatch.setattr(buffers, "last_level_cache", lambda: 8192)
    seen = set()

    def forward(x, gamma, beta, epsilon, *, out=None):
        seen.add((x.ctypes.data, out is not None and out.ctypes.data))
        return NUMPY.forward(x, gamma, beta, epsilon, out=out)

    settings = replace(SHORT, directions=("forward",), caches=("warm", "cold"), outputs=("given",))
    case = make_case("200x100")  # 160 kB, larger than what turns warm
    found = rows_of(case, [kernel(forward=forward)], settings)
    assert [(row["kernel"], row["cache"], row.get("copies")) for row in found] == [
        ("mine", "warm", 1), ("mine", "cold", 2), ("copy", "warm", None), ("copy", "cold", None),
    ]  # fmt: skip
    given = {pair for pair in seen if pair[1]}
    assert len({x for x, _ in given}) == len({out for _, out in given}) == 3
    settings = replace(settings, outputs=("fresh",))
    assert [row["outputs"] for row in rows_of(case, [NUMPY], settings)[:2]] == ["fresh", "fresh"]


def test_every_row_says_how_it_was_measured(make_case):
    settings = replace(SHORT, max_time=0.05, precision=0.5)
    found = rows_of(make_case("20x30"), [NUMPY, kernel()], settings)
    for row in found:
        assert row["stopped"] in ("precise", "stable", "time")
        assert row["minimum"] <= row["low"] <= row["median"] <= row["high"]
        assert row["noise_floor"] >= 0
        assert row["others"] >= 0
        assert 0 < row["meeting"] < 1
        assert row["rounds"] == len(row["samples"]) >= 5
        assert row["outliers"] <= row["rounds"]
        assert bool(row["outliers_why"]) == bool(row["outliers"])
    assert found[0]["speedup"] == found[0]["speedup_low"] == found[0]["speedup_high"] == 1
    assert found[2]["speedup_low"] <= found[2]["speedup"] <= found[2]["speedup_high"]
    assert [row["bytes"] for row in found] == [n * 600 * 8 for n in (2, 3, 2, 3, 2, 3)]


def test_samples_of_passes_last_half_of_the_longest_call_and_no_others(make_case, monkeypatch):
    seen = {}

    def interleave(timed, *rest, **options):
        seen.update({entry: each.share for entry, each in timed.items()})
        return interleaved(timed, *rest, **options)

    interleaved = timing.interleave
    monkeypatch.setattr(timing, "interleave", interleave)
    rows(make_case("5x4"), kernel())
    passes = {entry for entry in seen if isinstance(entry, PassEntry)}
    assert {entry.again for entry in passes} == {False, True}
    assert {seen[entry] for entry in passes} == {0.5}
    assert {CLOCK, FORK_JOIN} < seen.keys() - passes
    assert {seen[entry] for entry in seen.keys() - passes} == {0.0}


# The figures, of planted samples.

QUIET = Surroundings(0.0, None, None, None)


def figures(case, **samples):
    """``pass_kernel_direction_threads``, or ``memory_operation_variant_threads``: each a factor on the same noise."""
    noise = np.array([1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.03, 0.97, 5.0])
    found = {}
    for name, factor in samples.items():
        role, kernel, direction, threads = name.split("_")
        count = int(threads) or None
        entry = (
            MemoryEntry(kernel, direction, "warm", count)
            if role == "memory"
            else PassEntry(PassKey(kernel, direction, threads=count), again=role == "again")
        )
        found[entry] = Sampled(1, tuple(factor * noise))
    return Rounds(case, [Sampling(found, Stop.STABLE, {})], QUIET, "base")


def of_pass(rounds, *key, **more):
    return rounds.with_figures(Outcome(PassKey(*key, **more), 1, bench_row(), True))


def test_passes_over_the_memory_are_what_the_limit_could_move(make_case):
    found = figures(
        make_case("5x4"), pass_base_forward_0=4.0, pass_mine_backward_0=3.0,
        memory_copy_loop_0=0.5, memory_copy_numpy_0=1.0, memory_add_numpy_0=1.5,
    )  # fmt: skip
    forward = of_pass(found, "base", "forward")
    assert forward["of_limit"] == pytest.approx(8)
    assert forward["memory_passes"] == pytest.approx(16)  # twice per time of a copy, which lasts 0.5
    assert forward["stopped"] == "stable"
    backward = of_pass(found, "mine", "backward")
    assert backward["memory_passes"] == pytest.approx(6)
    assert "speedup" not in backward  # the baseline has no such pass
    limits = found.limits()
    assert [(row["kernel"], row["way"], row["median"]) for row in limits] == [
        ("copy", "loop", 0.5),
        ("add", "numpy", 1.5),
    ]
    assert limits[0]["bandwidth"] == 2 * 20 * 8 / 0.5


def test_a_pass_is_compared_on_as_many_threads_or_else_with_the_fastest(make_case):
    found = figures(
        make_case("5x4"), pass_base_forward_1=8.0, pass_base_forward_2=6.0, pass_mine_forward_2=2.0,
        pass_mine_forward_0=3.0, memory_copy_loop_1=1.0, memory_copy_loop_2=0.5,
    )  # fmt: skip
    on_two = of_pass(found, "mine", "forward", threads=2)
    assert (on_two["speedup"], on_two["of_limit"]) == (pytest.approx(3), pytest.approx(4))
    own_choice = of_pass(found, "mine", "forward")
    assert (own_choice["speedup"], own_choice["of_limit"]) == (pytest.approx(2), pytest.approx(6))
    assert [(row["threads"], row["median"]) for row in found.limits()] == [(1, 1.0), (2, 0.5)]


def test_the_noise_floor_is_what_the_baseline_differs_from_itself_by(make_case):
    found = figures(
        make_case("5x4"), pass_base_forward_0=1.0, pass_mine_forward_0=9.0, pass_mine_backward_0=9.0,
        again_base_forward_0=1.1, memory_copy_loop_0=1.0,
    )  # fmt: skip
    for name in ("base", "mine"):
        assert of_pass(found, name, "forward")["noise_floor"] == pytest.approx(0.1)
    assert of_pass(found, "mine", "backward")["noise_floor"] is None
    assert found.limits()[0]["noise_floor"] == pytest.approx(0.1)


def test_the_summary_races_kernels_on_as_many_threads():
    def timed(problem, name, threads, time):
        return {
            "problem": problem, "input": "", "kernel": name, "direction": "forward", "outputs": "fresh",
            "cache": "warm", "threads": threads, "samples": [time], "median": time, "of_limit": 1.0,
        }  # fmt: skip

    rows = typed(
        timed(problem, *each)
        for problem in "pq"
        for each in (("free", None, 8.0), ("bound", 1, 4.0), ("bound", 2, 2.0), ("other", 2, 1.0))
    )
    found = summary(rows, Settings()).rows
    speedups = {(row["kernel"], row["threads"]): row["speedup"] for row in found}
    # One thread is not raced against two, nor a kernel against itself.
    assert speedups == {
        ("free", None): pytest.approx(1 / 8), ("bound", 1): pytest.approx(2), ("bound", 2): pytest.approx(1 / 2),
        ("other", 2): pytest.approx(2),
    }  # fmt: skip
