"""Two runs compared: planted slowdowns, the same code again, files that do not match."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import bncli
from bncli import plugins
from bncli.cli import main
from bncli.comparison import verdicts as judging
from bncli.comparison.compare import compare
from bncli.comparison.verdicts import LEAST_FLOOR, Verdict
from bncli.core.report import Column, Report
from bncli.core.rows.times import Identity
from bncli.errors import CheckFailed, InputError

HERE = {"cpu": "a cpu", "cores": 2, "numpy": "2.0"}
PROBLEM = "64x30000/per-activation/float32/eps=1e-05"


def measured(seed, factor=1.0, count=100, sigma=0.02, drift=0.01, level=0.005, outliers=0.02):
    """Samples as a machine that others use gives them.

    Interruptions only lengthen, some of them much; the speed walks at random, by ``drift`` from the
    first to the last sample; and a process is as a whole faster or slower by ``level``.
    """
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, drift / math.sqrt(count), count))
    samples = factor * np.exp(rng.normal(0, level) + np.abs(rng.normal(0, sigma, count)) + walk)
    return np.where(rng.random(count) < outliers, samples * rng.uniform(1.2, 5, count), samples).tolist()


def verdicts(factor, runs=200, **settings):
    """How often each verdict is the one on two runs, the second slower by ``factor``."""
    return Counter(
        judging.compare(measured(2 * i, **settings), measured(2 * i + 1, factor, **settings)).verdict
        for i in range(runs)
    )


# The verdict.


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
    found = judging.compare(steady, slowed)
    assert found.ratio.low > 1.2
    assert found.floor > 0.3
    assert found.verdict is Verdict.UNSURE


def test_two_modes_that_alternate_are_noise():
    def modes(seed):
        rng = np.random.default_rng(seed)
        return np.where(rng.random(100) < 0.5, 1.5, 1.0) * rng.lognormal(0, 0.01, 100)

    found = Counter(judging.compare(modes(2 * i), modes(2 * i + 1)).verdict for i in range(100))
    assert found[Verdict.UNSURE] >= 95


def test_the_floor_is_never_below_what_one_process_cannot_show():
    found = judging.compare([1.0] * 100, [1.06] * 100)
    assert (found.floor, found.verdict) == (LEAST_FLOOR, Verdict.SAME)
    assert judging.compare([1.0] * 100, [1.08] * 100).verdict is Verdict.SLOWER
    assert judging.compare([1.08] * 100, [1.0] * 100).verdict is Verdict.FASTER


def test_an_a_a_pair_raises_the_floor():
    old, new = [1.0] * 100, [1.15] * 100
    assert judging.compare(old, new, aa=0.1).verdict is Verdict.SLOWER
    found = judging.compare(old, new, aa=0.2)
    assert (found.floor, found.verdict) == (0.2, Verdict.UNSURE)  # it differs by too much to be the same
    assert judging.compare(old, [1.09] * 100, aa=0.2).verdict is Verdict.SAME


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
    for found in (judging.compare(few, many), judging.compare(many, few)):
        assert (found.floor, found.verdict) == (math.inf, Verdict.UNSURE)


def test_chaos_tells_nothing():
    chaos = [1.0, 1e3] * 3
    assert judging.compare(chaos, [1e6] * 100).verdict is Verdict.UNSURE


@given(st.lists(st.floats(1e-9, 1e3), min_size=5, max_size=50), st.floats(1.2, 100))
def test_a_verdict_does_not_depend_on_the_unit_and_turns_with_the_files(samples, factor):
    slower = [factor * s for s in samples]
    found, turned = judging.compare(samples, slower), judging.compare(slower, samples)
    assert {found.verdict, turned.verdict} in ({Verdict.SLOWER, Verdict.FASTER}, {Verdict.UNSURE})
    scaled = judging.compare([8 * s for s in samples], [8 * s for s in slower])
    assert (scaled.ratio, scaled.verdict) == (found.ratio, found.verdict)
    assert scaled.floor == pytest.approx(found.floor)


# Which rows belong together.


def row(kernel="numba", direction="forward", samples=(), problem=PROBLEM, verdict="PASS", **more):
    return {
        "problem": problem,
        "input": "--random normal --seed 0",
        "kernel": kernel,
        "direction": direction,
        **({"verdict": verdict} if verdict else {}),
        **({"samples": list(samples)} if len(samples) else {}),
        **more,
    }


def bench(*rows, environment=HERE):
    return Report("bench", (Column("kernel", "kernel"),), rows, environment=environment)


OLD = bench(
    row("numpy", samples=measured(0)),
    row("numba", samples=measured(1)),
    row("numba", "backward", measured(2)),
    row("torch", samples=measured(3)),
)
NEW = bench(
    row("numpy", samples=measured(4)),
    row("numba", samples=measured(5, 1.3)),
    row("numba", "backward", measured(6, 0.5)),
    row("jax", samples=measured(7)),
)


def test_rows_are_matched_and_what_is_in_one_file_is_shown():
    found = compare(OLD, NEW)
    assert [(r["kernel"], r["direction"], r["verdict"]) for r in found.rows] == [
        ("numpy", "forward", "SAME"),
        ("numba", "forward", "SLOWER"),
        ("numba", "backward", "FASTER"),
        ("torch", "forward", "ONLY OLD"),
        ("jax", "forward", "ONLY NEW"),
    ]
    slower = found.rows[1]
    assert slower["low"] < slower["ratio"] < slower["high"]
    assert slower["ratio"] == slower["new"] / slower["old"] == pytest.approx(1.3, rel=0.03)
    assert slower["old"] == np.median(OLD.rows[1]["samples"])
    assert found.rows[-1]["count"] == "5 rows: 1 SAME, 1 SLOWER, 1 FASTER, 1 ONLY OLD, 1 ONLY NEW"
    assert found.failures == []
    assert found.warnings == []


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("problem", "64x30000/per-activation/float64/eps=1e-05"),
        ("input", "--random uniform --seed 0"),
        ("kernel", "numpy"),
        ("direction", "backward"),
        ("outputs", "given"),
        ("threads", 2),
        ("cache", "cold"),
    ],
)
def test_what_differs_in_one_key_is_not_compared(key, other):
    old = row(samples=measured(0))
    found = compare(bench(old), bench(old | {key: other}))
    assert [r["verdict"] for r in found.rows] == ["ONLY OLD", "ONLY NEW"]
    assert key in Identity._fields


def test_rows_of_before_there_were_outputs_and_threads_are_matched():
    found = compare(
        bench(row(samples=measured(0))), bench(row(samples=measured(1), outputs="fresh", threads=None, cache="warm"))
    )
    assert [r["verdict"] for r in found.rows] == ["SAME"]
    assert found.groups()[0][0] == f"{PROBLEM}  --random normal --seed 0"


def test_what_was_wrong_says_why_it_has_no_time():
    wrong = row(verdict="WRONG")
    found = compare(bench(row(samples=measured(0))), bench(wrong))
    assert found.rows[0]["verdict"] == "ONLY OLD"
    assert found.rows[0]["note"] == "numba forward has no time in new: it is WRONG"
    assert compare(bench(wrong), bench(wrong)).rows[0]["verdict"] == "NO TIME"
    # One that is right has no time for the sake of another pass, and one that is not there has no verdict.
    found = compare(OLD, bench(row("numpy"), row("numba", "backward", verdict=None)))
    assert [each["note"] for each in found.rows[:3]] == [
        "numpy forward has no time in new: another pass of the kernel is not right",
        "",
        "numba backward has no time in new: the kernel has no backward",
    ]


def test_two_rows_of_the_same_thing_are_refused():
    twice = bench(row(samples=measured(0)), row(samples=measured(1)))
    for reports, name in (((twice, OLD), "old"), ((OLD, twice), "new")):
        with pytest.raises(InputError, match=rf"^{name} has 2 rows of the same thing, {PROBLEM} .*: leave all but one"):
            compare(*reports)


def test_the_count_of_all_rows_is_below_all_tables():
    limit = {each: value for each, value in row("copy", "limit", measured(0)).items() if each != "verdict"}
    timed = bench(row(samples=measured(1)), row(samples=measured(2), outputs="given"), limit)  # as bench has them
    (_, fresh), (title, given) = compare(timed, timed).groups()
    assert title.endswith("--outputs given")
    assert [each["kernel"] for each in fresh] == ["numba", "copy"]
    assert [each["count"] for each in (*fresh, *given)] == ["", "", "3 rows: 3 SAME"]


def test_the_a_a_pair_of_either_file_counts():
    old, new = row(samples=[1.0] * 20), row(samples=[1.15] * 20)
    assert compare(bench(old), bench(new)).rows[0]["verdict"] == "SLOWER"
    for before, after in ((old | {"noise_floor": 0.2}, new), (old, new | {"noise_floor": 0.2})):
        found = compare(bench(before), bench(after)).rows[0]
        assert (found["floor"], found["verdict"]) == (0.2, "UNSURE")


# The gate.


def test_the_gate_fails_for_what_is_slower_by_more_than_the_factor():
    found = compare(OLD, NEW, fail_slower=1.2)
    assert len(found.failures) == 1
    with pytest.raises(CheckFailed, match=rf"numba forward of {PROBLEM} takes 1\.\d\d× the time, 1\.\d\d× at least"):
        found.raise_if_failed()
    assert compare(OLD, NEW, fail_slower=1.4).failures == []


def test_the_whole_interval_must_be_above_the_factor():
    old, new = bench(row(samples=measured(0))), bench(row(samples=measured(1, 1.3)))
    found = compare(old, new).rows[0]
    assert found["low"] < found["ratio"]
    assert compare(old, new, fail_slower=math.nextafter(found["low"], 0)).failures
    assert not compare(old, new, fail_slower=found["low"]).failures


def test_what_was_right_and_is_wrong_now_fails():
    right, wrong = row(samples=measured(0)), row(verdict="WRONG")
    others = [row("numpy", samples=measured(1)), row("copy", "limit", measured(2))]
    for beside in (others, []):
        found = compare(bench(right, *beside), bench(wrong, *beside), fail_slower=1.1)
        assert found.failures == [f"numba forward has no time in new: it is WRONG: {PROBLEM}"]
    for old, new in ((wrong, right), (wrong, wrong)):
        assert compare(bench(old, *others), bench(new, *others), fail_slower=1.1).failures == []
    assert compare(bench(right, *others), bench(*others), fail_slower=1.1).failures == []  # it was not asked for
    assert compare(bench(right, *others), bench(wrong, *others)).failures == []


def test_what_is_unsure_does_not_fail():
    old, new = bench(row(samples=[1.0, 1.0, 1.0, 1.0])), bench(row(samples=[9.0, 9.0, 9.0, 9.0]))
    found = compare(old, new, fail_slower=1.1)
    assert (found.rows[0]["verdict"], found.failures) == ("UNSURE", [])
    assert "too few or too noisy" in found.rows[0]["note"]
    assert found.rows[0]["floor"] is None
    assert "1 UNSURE" in found.rows[0]["count"]


@pytest.mark.parametrize(
    "environment", [HERE | {"cpu": "another"}, HERE | {"cores": 4}, {"numpy": "2.0"}, {}, HERE | {"cores": None}]
)
def test_another_machine_is_said_and_is_no_gate_unless_allowed(environment):
    elsewhere = bench(*NEW.rows, environment=environment)
    assert "the machines differ: old is of a cpu, 2 cores, new of" in compare(OLD, elsewhere).warnings[0]
    with pytest.raises(InputError, match="add --allow-different-machine"):
        compare(OLD, elsewhere, fail_slower=1.2)
    assert len(compare(OLD, elsewhere, fail_slower=1.2, allow_different_machine=True).failures) == 1


def test_other_software_is_said():
    other = bench(*NEW.rows, environment=HERE | {"numpy": "2.1", "numba": "0.62"})
    assert compare(OLD, other, fail_slower=1.4).warnings == [
        "the software differs: numpy 2.0 → 2.1, numba None → 0.62",
    ]


@pytest.mark.parametrize("factor", [0.9, 0.0, -1.0, math.nan, math.inf])
def test_a_factor_that_means_nothing_is_refused(factor):
    with pytest.raises(InputError, match="give a number of at least 1"):
        compare(OLD, NEW, fail_slower=factor)


def test_a_gate_with_nothing_to_compare_is_refused():
    limit = row("copy", "limit", measured(1))
    old, other = bench(row(samples=measured(0)), limit), bench(row("renamed", samples=measured(0)), limit)
    assert [each["verdict"] for each in compare(old, other).rows] == ["ONLY OLD", "SAME", "ONLY NEW"]
    for before, after in ((old, other), (old, bench()), (bench(row(verdict="WRONG"), limit), old)):
        with pytest.raises(InputError, match="old has timed no pass that is in new, so nothing could fail"):
            compare(before, after, fail_slower=1.1)


# Files and the command line.


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes reports as bench does, into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(**reports):
        for name, report in reports.items():
            text = plugins.load("bncli.output.formats", "json").EXPORTER.render(report)
            (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")

    return write


def run(*words, code=0, columns=80):
    result = CliRunner().invoke(main, ["compare", *words], env={"COLUMNS": str(columns)})
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_the_command_prints_a_table_and_fails_only_when_asked(files):
    files(old=OLD, new=NEW)
    result = run("old.json", "new.json")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "SLOWER" in result.stdout
    assert result.stdout.rstrip().endswith("5 rows: 1 SAME, 1 SLOWER, 1 FASTER, 1 ONLY OLD, 1 ONLY NEW")
    assert result.stderr == ""
    failed = run("old.json", "new.json", "--fail-slower", "1.10", code=1)
    assert failed.stdout == result.stdout
    assert failed.stderr.startswith(f"bncli: numba forward of {PROBLEM} takes 1.")
    run("old.json", "old.json", "--fail-slower", "1")


def test_the_exported_comparison_is_whole(files):
    files(old=OLD, new=NEW)
    run("old.json", "new.json", "--export", "out.json", "--fail-slower", "1.10", code=1)
    with open("out.json", encoding="utf-8") as file:
        found = json.load(file)
    assert found["command"] == "compare"
    assert len(found["rows"]) == 5
    assert len(found["failures"]) == 1


def test_a_wide_title_and_long_names_still_fit(files):
    long = [row("a-kernel-with-a-long-name", "backward", measured(i), outputs="given", threads=2) for i in range(1)]
    files(old=bench(*long), new=bench(*long))
    assert "--outputs given --threads 2" in " ".join(run("old.json", "new.json").stdout.split())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"command": "info", "rows": []}, "holds what 'info' found: only results of bench can be compared"),
        ({"schema": 99}, "which a newer bncli wrote"),
        (
            {"rows": [{"problem": PROBLEM, "kernel": "numba"}]},
            "is damaged: row 1: Object missing required field `direction`",
        ),
        ({"rows": [row() | {"kernel": ["numba"]}]}, "is damaged: row 1: Expected `str`, got `array` - at `kernel`"),
        *(
            ({"rows": [row() | {"samples": samples}]}, "is damaged: row 1: Expected")
            for samples in (["nan"], ["inf"], [0], [-1.0], ["1.0"], [True], [None], [[1.0]], 7, "abc", [10**400])
        ),
        *(
            ({"rows": [row(samples=[1.0] * 9) | {"noise_floor": floor}]}, "at `figures.noise_floor`")
            for floor in ("nan", "inf", -1, "much", True, 10**400)
        ),
        *(
            ({"rows": [row(samples=[1.0] * 9) | {key: value}]}, f"at `figures.{key}`")
            for key in ("clock", "meeting", "others")
            for value in ("nan", "inf", -1, "much", True, [1.0], 10**400)
        ),
    ],
)
def test_a_file_that_cannot_be_compared_is_one_line(files, broken, message):
    files(old=OLD)
    with open("old.json", encoding="utf-8") as file:
        document = json.load(file)
    with open("broken.json", "w", encoding="utf-8") as file:
        json.dump(document | broken, file)
    for words in (("old.json", "broken.json"), ("broken.json", "old.json")):
        result = run(*words, code=2)
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert "'broken.json'" in result.stderr
        assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("old.json",), "Missing argument 'NEW'"),
        (("old.json", "none.json"), "cannot read 'none.json': No such file or directory"),
        (("old.json", "old.json", "--fail-slower", "fast"), "'fast' is not a number"),
        (("old.json", "old.json", "--fail-slower", "nan"), "'nan' is not a finite number"),
        (("old.json", "old.json", "--fail-slower", "0.9"), "'0.9' is too small: give 1 or more"),
    ],
)
def test_wrong_usage_is_one_line(files, words, message):
    files(old=OLD)
    result = run(*words, code=2)
    assert message in result.stderr
    assert result.stdout == ""


def test_a_bench_file_compares_with_itself(tmp_path):
    path = str(tmp_path / "out.json")
    words = ["bench", "--shape", "5x4x4x3", "--kernel", "numpy", "--max-time", "0", "--export", path]
    assert CliRunner().invoke(main, words).exit_code == 0
    found = bncli.compare(path, path, fail_slower=1.0)
    assert [r["ratio"] for r in found.rows] == [1.0] * 4  # two passes, and the two limits of the memory
    assert found.failures == []


def test_memory_that_has_become_slower_is_shown_and_fails_nothing():
    same = row(samples=measured(0), cache="cold")  # it is not judged beside that limit
    old, new = (bench(same, row("copy", "limit", measured(1, factor))) for factor in (1.0, 2.0))
    found = compare(old, new, fail_slower=1.1)
    assert [r["verdict"] for r in found.rows] == ["SAME", "SLOWER"]
    assert found.failures == []
