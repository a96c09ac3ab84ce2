"""What else the machine did: injected readings, and the warnings that they give."""

import math
import sys
from collections import namedtuple
from subprocess import run

import pytest

from bncli.benchmarking import cgroup, conditions, environment, timing
from bncli.benchmarking.conditions import Readings, Surroundings
from bncli.benchmarking.disturbances import warnings
from planted import bench_row

START = Readings(time=100.0, busy=50.0, own=10.0, stolen=1.0, throttled=3, hot=7)
PROBLEM = "64x3000/per-activation/float32/eps=1e-05"


def later(**changes):
    """A reading 10 s later, when this process alone has kept one core busy."""
    plain = START._replace(time=110.0, busy=60.0, own=20.0)
    return plain._replace(**changes)


def test_a_quiet_machine_shows_nothing():
    found = conditions.between(START, later())
    assert found == (0.0, 0.0, 0, 0, len(environment.own_cores()), 0.0)


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"busy": 75.0}, "others", 1.5),
        ({"busy": 75.0}, "others_of", 4),
        ({"busy": 999.0}, "others", 4.0),  # no more than there are, though systems count coarsely
        ({"children": 8.0}, "children", 0.8),
        ({"stolen": 3.0}, "stolen", 0.2),
        ({"throttled": 5}, "throttled", 2),
        ({"hot": 8}, "hot", 1),
        ({"stolen": None}, "stolen", None),
        ({"throttled": None}, "throttled", None),
        ({"hot": None}, "hot", None),
    ],
)
def test_what_happened_is_the_difference(monkeypatch, changes, name, value):
    monkeypatch.setattr(conditions, "own_cores", lambda: [0, 1, 2, 3])
    found = conditions.between(START, later(**changes))
    assert getattr(found, name) == (None if value is None else pytest.approx(value))


def test_counting_its_own_time_twice_is_no_negative_load():
    assert conditions.between(START, later(busy=55.0)).others == 0.0


@pytest.mark.parametrize(("quota", "expected"), [(None, (1.5, 4)), (2.0, (1.2, 2.0)), (3.5, (1.5, 4))])
def test_the_cores_that_others_used_are_counted_like_those_that_there_are(monkeypatch, quota, expected):
    # Others used 1.5 of 4 cores, and those of the same control group 1.2 cores of its quota.
    monkeypatch.setattr(conditions, "own_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(cgroup, "quota", lambda: quota)
    before, after = (100.0, 122.0) if quota else (None, None)
    found = conditions.between(START._replace(group=before), later(busy=75.0, group=after))
    assert (found.others, found.others_of) == pytest.approx(expected)


def test_only_the_cores_that_this_process_may_run_on_are_counted(monkeypatch):
    kinds = namedtuple("scputimes", "user nice system irq softirq steal")  # as psutil's
    each = [kinds(core, 0.0, 0.0, 0.0, 0.0, 10.0 * core) for core in range(4)]
    monkeypatch.setattr(conditions.psutil, "cpu_times", lambda percpu=False: each if percpu else kinds(*[99.0] * 6))
    monkeypatch.setattr(conditions, "own_cores", lambda: [1, 3])
    found = conditions.read()
    assert (found.busy, found.stolen) == (4.0, 40.0)
    monkeypatch.setattr(conditions, "own_cores", lambda: [5])  # a core is switched off: those after it have moved
    assert conditions.read().busy == 5 * 99.0


@pytest.mark.slow
def test_processes_that_this_one_has_started_are_its_own():
    before = conditions.read()
    run([sys.executable, "-c", "for _ in range(10**7): pass"], check=True)
    assert conditions.between(before, conditions.read()).children > 0


def test_this_machine_can_be_read():
    before = conditions.read()
    assert before.busy > 0
    assert before.own > 0
    found = conditions.between(before, conditions.read())
    assert found.others >= 0


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.stat": "usage_usec 5\nnr_periods 4\nnr_throttled 3\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.stat": "nr_throttled 2\n", "cpu.stat": "nr_throttled 9\n"}, 2),
        ("0::/elsewhere\n", {"cpu.stat": "nr_throttled 9\n"}, 9),
        ("5:cpu,cpuacct:/c\n0::/\n", {"cpu,cpuacct/c/cpu.stat": "nr_throttled 4\n"}, 4),
        ("5:memory:/c\n", {"memory/c/cpu.stat": "nr_throttled 4\n"}, None),
        ("0::/\n", {"cpu.stat": "usage_usec 5\n"}, None),
        ("0::/\n", {"cpu.stat": "nr_throttled\n"}, None),
        ("0::/\n", {}, None),
        (None, {}, None),
    ],
)
def test_the_quota_of_the_own_control_group_is_read(tmp_path, monkeypatch, own, files, expected):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    if own is not None:
        (tmp_path / "own").write_text(own, encoding="utf-8")
    monkeypatch.setattr(cgroup, "CGROUPS", tmp_path)
    monkeypatch.setattr(cgroup, "OWN_CGROUP", tmp_path / "own")
    assert cgroup.throttled() == conditions.read().throttled == expected


@pytest.mark.parametrize(
    ("cgroup_file", "files", "quota", "used"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n", "cpu.stat": "usage_usec 2500000\n"}, 1.5, 2.5),
        ("0::/a\n", {"a/cpu.max": "max 100000\n", "cpu.max": "200000 100000\n"}, 2.0, None),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None, None),
        ("0::/\n", {}, None, None),
        (
            "5:cpu,cpuacct:/c\n",
            {
                "cpu,cpuacct/c/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/c/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/c/cpuacct.usage": "3000000000\n",
            },
            0.5, 3.0,
        ),
        ("5:cpu:/c\n", {"cpu/c/cpu.cfs_quota_us": "-1\n", "cpu/c/cpu.cfs_period_us": "100000\n"}, None, None),
    ],
)  # fmt: skip
def test_a_quota_is_read_and_what_its_group_used(tmp_path, monkeypatch, cgroup_file, files, quota, used):
    for name, content in {**files, "own": cgroup_file}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.setattr(cgroup, "CGROUPS", tmp_path)
    monkeypatch.setattr(cgroup, "OWN_CGROUP", tmp_path / "own")
    assert (cgroup.quota(), cgroup.used()) == (quota, used)
    monkeypatch.setattr(environment, "own_cores", lambda: [0, 1, 2])
    assert environment.usable_cores() == (3 if quota is None else math.ceil(quota))


def test_heat_is_counted_over_all_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(conditions, "CPUS", tmp_path)
    assert conditions.read().hot is None
    for core, count in (("cpu0", "2\n"), ("cpu11", "3\n"), ("cpufreq", "9\n"), ("cpu1", "many\n")):
        folder = tmp_path / core / "thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(count, encoding="utf-8")
    assert conditions.read().hot == 5


# The warnings.


def row(kernel="numba", **more):
    quiet = {"others": 0.05, "stolen": 0.0, "throttled": 0, "hot": 0, "clock_change": 0.0, "threads": None}
    figures = {
        "samples": [1e-3], "median": 1e-3, "low": 0.99e-3, "high": 1.01e-3, "spread": 0.01, "bandwidth": 1e9,
        "minimum": 1e-3, "outliers": 0, "outliers_why": "", "rounds": 100, "calls": 1,
    }  # fmt: skip
    return bench_row(**{"problem": PROBLEM, "kernel": kernel, **figures, **quiet, **more})


def test_nothing_is_said_of_a_quiet_run_nor_of_what_was_not_timed():
    unknown = dict.fromkeys(("stolen", "throttled", "hot", "clock_change"))
    wrong = bench_row(problem=PROBLEM, kernel="mine", verdict="WRONG")
    assert warnings([row(), row(**unknown), wrong], cores=2) == []
    assert warnings([], cores=2) == []
    # What a large machine does for itself is more, and disturbs less.
    assert warnings([row(others=0.5)], cores=64) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"others": 1.5}, ["other processes used 1.5 of 2 cores", PROBLEM, "--threads 1"]),
        ({"stolen": 0.5}, ["hypervisor gave 0.50 cores", "a machine of your own"]),
        ({"throttled": 4}, ["quota of this container stopped the process 4 times", "raise the quota"]),
        ({"hot": 2}, ["slowed down for its heat 2 times", "cool it"]),
        ({"clock_change": 0.3}, ["the processor's clock changed by 30.0 %", "governor 'performance'"]),
        ({"threads": 4}, ["--threads 4 exceeds the 2 usable cores", "use fewer"]),
        ({"low": 0.8e-3, "high": 3e-3}, ["1 of 2 times is vague", "numba forward", "800 µs and 3.00 ms", "--max-time"]),
        (
            {"outliers": 30, "outliers_why": "in a row: another program ran for a while"},
            ["30 of 100 samples of numba forward", "in a row: another program ran", "close other programs"],
        ),
        ({"median": 50e-6, "low": 50e-6, "high": 50e-6}, ["numba forward", "last 50.0 µs", "measure again"]),
    ],
)
def test_each_cause_is_one_line_with_its_remedy(bad, said):
    (found,) = warnings([row("numpy"), row(**bad)], cores=2)
    assert "\n" not in found
    for part in said:
        assert part in found


def test_only_the_worst_is_named_however_many_there_are():
    rows = [row(others=0.5), row("numpy", others=1.0, problem="5x4"), row(low=0.5e-3), row("numpy", low=0.1e-3)]
    busy, vague = warnings(rows, cores=2)
    assert "1.0 of 2 cores while 5x4" in busy
    assert vague.startswith("2 of 4 times are vague: the median of numpy forward")


def test_a_share_of_few_samples_says_nothing():
    assert warnings([row(outliers=2, rounds=5, outliers_why="scattered")], cores=2) == []


def test_a_sample_of_many_short_calls_is_not_short():
    assert warnings([row(median=1e-6, low=1e-6, high=1e-6, calls=int(timing.SHORTEST_SAMPLE * 1e6))], cores=2) == []


def test_what_happened_in_several_processes_is_cores_on_average_and_events_in_all():
    parts = [Surroundings(0.5, 0.2, 3, None, 2.0, 0.1), Surroundings(1.5, 0.4, 4, None, 2.0, 0.3)]
    assert conditions.joined(parts) == pytest.approx(Surroundings(1.0, 0.3, 7, None, 2.0, 0.2))
    unknown = Surroundings(0.0, None, None, None)
    assert conditions.joined([unknown]) == unknown
