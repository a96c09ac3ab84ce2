"""What is timed beside what."""

from dataclasses import replace

from bncli.benchmarking import buffers, timing
from bncli.benchmarking.bench import rows_of
from bncli.benchmarking.entries import CLOCK, FORK_JOIN, PassEntry
from short_runs import NUMPY, SHORT, kernel, rows


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
