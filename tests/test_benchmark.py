"""A whole benchmark: the library's, files after every problem, its end by a signal, its baseline, its terminal."""

import io
import json
import math
import os
import shlex
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numba
import pytest
from click.testing import CliRunner
from rich.console import Console

import bncli
from bncli.benchmarking import bench as one
from bncli.benchmarking import environment
from bncli.benchmarking import gate as _gate
from bncli.cli import main
from bncli.commands import _live
from bncli.commands._live import termination_as_interrupt
from bncli.core.kernel import Kernel
from bncli.core.report import Interrupted
from bncli.errors import CheckFailed, InputError
from bncli.loading.registry import load_kernel
from bncli.output.terminal import console
from planted import typed

NUMPY = load_kernel("numpy")
TWO = ("--shape", "5x4", "--shape", "6x4", "--kernel", "numpy", "--max-time", "0")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments, code=0, columns=80):
    result = CliRunner().invoke(main, ["bench", *arguments], env={"COLUMNS": str(columns)})
    assert result.exit_code == code, result.output
    return result


def saved(name="out.json"):
    return json.loads(Path(name).read_text(encoding="utf-8"))


def problems_of(document):
    return list(dict.fromkeys(row["problem"].partition("/")[0] for row in document["rows"]))


# The library.


def test_the_library_measures_what_the_command_does():
    report = bncli.bench(["numpy", "numba"], ["5x40/float32", "{3..6:+3}x20"], directions=["forward"], max_time=0)
    assert problems_of({"rows": report.rows}) == ["5x40", "3x20", "6x20"]
    assert {row["kernel"] for row in report.rows} == {"numpy", "numba", "copy"}
    assert all(row["median"] > 0 for row in report.rows)
    assert [row["sweep"].partition("/")[0] for row in report.rows[::3]] == ["", "{3..6:+3}x20", "{3..6:+3}x20"]
    assert report.environment["cpu"]
    report.raise_if_failed()


def test_kernels_may_be_one_and_of_any_kind():
    module = ModuleType("mine")
    module.forward, module.backward = NUMPY.forward, NUMPY.backward
    assert bncli.bench("numpy", "5x4", max_time=0).rows[0]["kernel"] == "numpy"
    report = bncli.bench([module, Kernel(NUMPY.forward, NUMPY.backward)], bncli.Problem((5, 4)), max_time=0)
    assert list(dict.fromkeys(row["kernel"] for row in report.rows)) == ["mine", "kernel", "copy", "add"]
    assert report.rows[0]["rerun"] == ""  # no command line can name it


def test_a_wrong_kernel_fails_the_report_and_has_no_time():
    report = bncli.bench(["numpy", "numpynet"], "5x4x4x3", max_time=0)
    with pytest.raises(CheckFailed, match=r"^numpynet: backward is WRONG$"):
        report.raise_if_failed()
    assert not any(row.get("median") for row in report.rows if row["kernel"] == "numpynet")


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (([],), {}, "there is no kernel to time"),
        (("numpy", "5x{1..2:x1}"), {}, "gets nowhere"),
        (("numpy", "5x4"), {"directions": ["sideways"]}, "sideways"),
        (("numpy", "5x4"), {"outputs": ["stale"]}, "stale"),
        (("numpy", "5x4"), {"caches": ["lukewarm"]}, "lukewarm"),
        (("numpy", "5x4"), {"max_time": math.nan}, "max_time is nan"),
        (("numpy", "5x4"), {"max_time": math.inf}, "max_time is inf"),
        (("numpy", "5x4"), {"precision": -1}, "precision is -1"),
        (("numpy", "5x4/float16"), {}, "does not take float16"),
        (([Kernel(NUMPY.forward, NUMPY.backward)] * 2,), {}, "2 kernels are named 'kernel'"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(arguments, settings, message, monkeypatch):
    monkeypatch.setattr(one, "rows_of", None)
    with pytest.raises(InputError, match=message):
        bncli.bench(*arguments, **settings)


# What is wrong, and how to see it again.


def test_each_row_has_the_command_that_times_it_again():
    asked = ("--shape", "5x40", "--max-time", "0", "--outputs", "given", "--threads", "1", "--seed", "3")
    rows = json.loads(run(*asked, "--kernel", "numba", "--format", "json").stdout)["rows"]
    for row in rows:
        words = shlex.split(row["rerun"])
        assert words[:2] == ["bncli", "bench"]
        again = json.loads(run(*words[2:], "--max-time", "0", "--format", "json").stdout)["rows"]
        keys = ("problem", "input", "kernel", "direction", "outputs", "cache", "threads")
        assert {key: row.get(key) for key in keys} in [{key: each.get(key) for key in keys} for each in again]


def test_a_wrong_kernel_gets_the_command_that_shows_it():
    shown = run("--shape", "5x4x4x3", "--kernel", "numpynet", "--max-time", "0", "--export", "out.json")
    line = next(line for line in shown.stdout.splitlines() if line.startswith("reproduce: "))
    words = shlex.split(line.removeprefix("reproduce: "))
    assert words[1] == "gradcheck"
    result = CliRunner().invoke(main, words[1:])
    assert (result.exit_code, "numpynet: dx is WRONG" in result.stderr) == (1, True)
    assert [row["reproduce"] for row in saved()["rows"] if row["verdict"] == "WRONG"] == [line]
    assert not any(row["reproduce"] for row in saved()["rows"] if row["verdict"] == "PASS")


def test_wrong_inference_is_shown_again_by_bench_itself():
    text = "from bncli.kernels.numpy import forward, backward\ndef infer(x, *rest):\n    return 2 * x\n"
    Path("mine.py").write_text(text, encoding="utf-8")
    asked = ("--shape", "5x4", "--kernel", "mine.py", "--max-time", "0", "--pass", "infer")
    line = next(line for line in run(*asked).stdout.splitlines() if line.startswith("reproduce: "))
    assert line.startswith("reproduce: bncli bench --kernel mine.py")
    assert "--pass infer" in line


# Files, and the end by a signal.


def test_files_are_whole_after_every_problem(monkeypatch):
    seen = []
    measure = one.rows_of

    def looking(case, *rest):
        seen.append(problems_of(saved()) if Path("out.json").exists() else None)
        return measure(case, *rest)

    monkeypatch.setattr(one, "rows_of", looking)
    run(*TWO, "--export", "out.json", "--export", "out.csv")
    assert seen == [None, ["5x4"]]
    assert problems_of(saved()) == ["5x4", "6x4"]
    assert sorted(os.listdir()) == ["out.csv", "out.json"]


def test_an_error_keeps_what_was_measured_before_it():
    run(
        "--shape",
        "5x4",
        "--shape",
        "99999x99999x99",
        "--kernel",
        "numpy",
        "--max-time",
        "0",
        "--export",
        "out.json",
        code=2,
    )
    assert problems_of(saved()) == ["5x4"]


@pytest.fixture
def signal_while_timing(monkeypatch):
    """signal_while_timing(number, after) sends it when the bar has been told so often that something is timed."""
    tell = _live.Live.__call__

    def prepare(number, after):
        told = 0

        def telling(self, done, doing, *detail):
            nonlocal told
            tell(self, done, doing, *detail)
            told += doing.startswith("timing")
            if told == after:
                signal.raise_signal(number)

        monkeypatch.setattr(_live.Live, "__call__", telling)

    return prepare


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_what_was_measured(number, signal_while_timing):
    before = signal.getsignal(signal.SIGTERM)
    signal_while_timing(number, 12)
    words = ("--shape", "5x4", "--shape", "6x4", "--kernel", "numpy", "--max-time", "600", "--precision", "0")
    result = run(*words, "--export", "out.json", code=130)
    assert "samples each, until it was interrupted" in result.stdout
    assert result.stdout.count("geometric") == 0
    assert result.stderr.splitlines()[-1] == "bncli: interrupted"
    document = saved()
    assert problems_of(document) == ["5x4"]
    assert {row["stopped"] for row in document["rows"]} == {"interrupted"}
    assert len({len(row["samples"]) for row in document["rows"]}) == 1
    assert document["warnings"][0] == "interrupted: this is what was measured until then, of 1 problem"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_before_there_are_rounds_enough_keeps_the_problems_before(signal_while_timing):
    signal_while_timing(signal.SIGINT, 8)  # a problem of five rounds is told of six times
    words = ("--shape", "5x4", "--shape", "6x4", "--kernel", "numpy", "--max-time", "0")
    document = json.loads(run(*words, "--format", "json", code=130).stdout)
    assert problems_of(document) == ["5x4"]


def test_where_nothing_was_measured_an_old_file_stays(signal_while_timing):
    Path("out.json").write_text("old", encoding="utf-8")
    signal_while_timing(signal.SIGTERM, 2)
    assert run(*TWO, "--export", "out.json", code=130).stdout == ""
    assert Path("out.json").read_text(encoding="utf-8") == "old"


def test_in_the_library_ctrl_c_is_ctrl_c_and_has_the_report(monkeypatch):
    measure = one.rows_of

    def interrupted(case, *rest):
        if case.problem.shape == (6, 4):
            raise KeyboardInterrupt
        return measure(case, *rest)

    monkeypatch.setattr(one, "rows_of", interrupted)
    with pytest.raises(KeyboardInterrupt) as raised:
        bncli.bench("numpy", ["5x4", "6x4"], max_time=0)
    assert isinstance(raised.value, Interrupted)
    assert problems_of({"rows": raised.value.report.rows}) == ["5x4"]


def test_sigterm_is_left_alone_in_a_thread_of_a_program_that_calls_bncli():
    def during():
        with termination_as_interrupt():
            return signal.getsignal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(during).result() is before
    assert during() is not before


def test_sigterm_is_left_alone_afterwards_even_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="mine"), termination_as_interrupt():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGTERM) == before


# A baseline.


def planted(monkeypatch, seconds):
    """Let bench find steady times of so many seconds."""

    def measure(case, kernels, settings, *rest):
        shared = {"problem": str(case.problem), "input": case.recipe, "outputs": "fresh", "note": "", "verdict": "PASS"}
        figures = {
            "digits": 7.0, "median": seconds, "low": seconds, "high": seconds, "rounds": 50, "stopped": "precise",
            "outliers": 0, "calls": 1000, "samples": [seconds] * 50,
        }  # fmt: skip
        return typed(shared | figures | {"kernel": kernels[0].name, "direction": name} for name in settings.directions)

    monkeypatch.setattr(one, "rows_of", measure)


BASIC = ("--shape", "5x4", "--kernel", "numpy")


def test_a_baseline_fails_what_is_slower_and_nothing_else(monkeypatch):
    planted(monkeypatch, 1e-3)
    run(*BASIC, "--export", "old.json")
    gate = (*BASIC, "--baseline", "old.json", "--fail-slower", "1.10")
    assert "2 rows: 2 SAME" in run(*gate).stdout
    planted(monkeypatch, 1.09e-3)
    assert "2 SLOWER" in run(*gate).stdout
    planted(monkeypatch, 1.5e-3)
    assert "2 SLOWER" in run(*BASIC, "--baseline", "old.json").stdout  # no gate, no failure
    failed = run(*gate, "--export", "new.json", code=1)
    assert failed.stderr.splitlines()[-1].startswith(
        "bncli: numpy forward of 5x4/per-activation/float64/eps=1e-08 takes"
    )
    row = saved("new.json")["rows"][0]
    assert (row["compared"], row["baseline"], row["ratio"]) == ("SLOWER", 1e-3, pytest.approx(1.5))
    # It says what compare says of the two files.
    result = CliRunner().invoke(
        main, ["compare", "old.json", "new.json", "--fail-slower", "1.10"], env={"COLUMNS": "80"}
    )
    assert result.exit_code == 1
    assert result.stdout in failed.stdout
    assert len(saved("new.json")["failures"]) == 2


def test_what_is_wrong_with_a_baseline_is_said_before_anything_is_measured(monkeypatch):
    planted(monkeypatch, 1e-3)
    run(*BASIC, "--export", "old.json")
    monkeypatch.setattr(one, "rows_of", None)
    Path("other.json").write_text(json.dumps(saved("old.json") | {"environment": {}}), encoding="utf-8")
    Path("newer.json").write_text(json.dumps(saved("old.json") | {"schema": 99}), encoding="utf-8")
    untimed = [{key: value for key, value in row.items() if key != "samples"} for row in saved("old.json")["rows"]]
    Path("untimed.json").write_text(json.dumps(saved("old.json") | {"rows": untimed}), encoding="utf-8")
    for words, message in {
        ("--fail-slower", "1.1"): "--fail-slower needs something to compare with: add --baseline OLD.json",
        ("--baseline", "none.json"): "cannot read 'none.json'",
        ("--baseline", "newer.json"): "is of schema 99, which a newer bncli wrote",
        ("--baseline", "old.json", "--fail-slower", "0.9"): "'0.9' is too small: give 1 or more",
        ("--baseline", "other.json", "--fail-slower", "1.1"): "add --allow-different-machine",
        ("--baseline", "untimed.json", "--fail-slower", "1.1"): "so nothing could fail",
    }.items():
        result = run(*BASIC, *words, code=2)
        assert (result.stdout, result.stderr.count("\n")) == ("", 1)
        assert message in result.stderr


def test_times_of_another_machine_are_compared_with_a_warning_and_gate_only_when_allowed(monkeypatch):
    planted(monkeypatch, 1e-3)
    run(*BASIC, "--export", "old.json")
    here = environment.collect()
    monkeypatch.setattr(environment, "collect", lambda: here | {"cpu": "another"})
    planted(monkeypatch, 2e-3)
    result = run(*BASIC, "--baseline", "old.json")
    assert "the machines differ" in result.stderr
    run(*BASIC, "--baseline", "old.json", "--fail-slower", "1.1", code=2)
    run(*BASIC, "--baseline", "old.json", "--fail-slower", "1.1", "--allow-different-machine", code=1)


def test_a_file_of_before_these_columns_is_a_baseline_too(monkeypatch):
    here = {key: environment.collect()[key] for key in ("cpu", "cores")}
    row = {
        "problem": "5x4/per-activation/float64/eps=1e-08", "input": "--random uniform --seed 0", "kernel": "numpy",
        "direction": "forward", "outputs": "fresh", "bytes": 320, "note": "", "verdict": "PASS", "digits": 13.0,
        "first": 1e-3, "median": 1e-3, "spread": 0.0, "bandwidth": 1e9, "minimum": 1e-3, "rounds": 50, "calls": 1,
        "samples": [1e-3] * 50, "speedup": 1.0, "of_limit": 2.0,
    }  # fmt: skip
    column = {"key": "kernel", "title": "kernel", "kind": "text"}
    old = {
        "schema": 1, "command": "bench", "environment": here, "warnings": [], "failures": [], "columns": [column],
        "rows": [row],
    }  # fmt: skip
    Path("old.json").write_text(json.dumps(old), encoding="utf-8")
    planted(monkeypatch, 1.5e-3)
    run(*BASIC, "--pass", "forward", "--baseline", "old.json", "--fail-slower", "1.1", code=1)


# A gate beside the first kernel.


def against(speedup, width=0.0, noise=0.01, **more):
    row = {"kernel": "mine", "direction": "forward", "problem": "5x4", "verdict": "PASS", "noise_floor": noise}
    interval = {"speedup": speedup, "speedup_low": speedup * (1 - width), "speedup_high": speedup * (1 + width)}
    return row | interval | more


@pytest.mark.parametrize(
    ("row", "shut"),
    [
        (against(1 / 1.15), True),
        (against(1 / 1.15, width=0.02), True),
        (against(1 / 1.15, width=0.05), False),  # it may be 1.09
        (against(1 / 1.09), False),
        (against(1.0), False),
        (against(3.0), False),
        (against(1 / 1.15, noise=0.2), False),
        (against(1 / 1.15, noise=None), True),
        (against(1 / 1.15, direction="limit"), False),
    ],
)
def test_what_is_slower_than_the_first_shuts_the_gate(row, shut):
    found = _gate.failures(typed([row]), "main", 1.10)
    assert [each.startswith("mine forward of 5x4 takes 1.15× the time of main, 1.1") for each in found] == [True] * shut


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"verdict": "WRONG"}, "it is WRONG"),
        ({"verdict": "PASS"}, "another pass of the kernel is not right"),
        ({}, "the kernel has no infer"),
        ({"verdict": "PASS", "median": 1e-3}, "main has none in its rounds"),
    ],
)
def test_what_has_no_time_shuts_the_gate(more, why):
    row = {"kernel": "mine", "direction": "infer", "problem": "5x4"} | more
    assert _gate.failures(typed([row]), "main", 1.10) == [f"mine infer of 5x4 has no time to be judged by: {why}"]


@pytest.mark.parametrize(("speedup", "shut"), [(1 / 3, True), (3.0, False)])
def test_the_library_fails_what_is_slower_than_the_first(speedup, shut, monkeypatch):
    def measure(case, kernels, *rest):
        return typed(against(times, kernel=each.name) for each, times in zip(kernels, (1.0, speedup), strict=True))

    monkeypatch.setattr(one, "rows_of", measure)
    found = bncli.bench(["numpy", "reference"], "5x4", fail_slower=1.5)
    assert found.failures == ["reference forward of 5x4 takes 3.00× the time of numpy, 3.00× at least"] * shut


def test_the_library_refuses_a_gate_that_means_nothing(monkeypatch):
    monkeypatch.setattr(one, "rows_of", None)
    with pytest.raises(InputError, match="give a number of at least 1"):
        bncli.bench("numpy", "5x4", fail_slower=0.5)
    with pytest.raises(InputError, match="and 'numpy' is alone: give the known one before it"):
        bncli.bench("numpy", "5x4", fail_slower=1.5)


def test_the_command_fails_what_is_wrong_or_slower_than_the_first():
    words = ("--shape", "5x4", "--kernel", "numpy", "--kernel", "numpynet", "--max-time", "0")
    assert "numpynet" in run(*words).stdout
    run(*words, "--fail-slower", "9", "--export", "out.json", code=1)
    nothing = "of 5x4/per-activation/float64/eps=1e-08 has no time to be judged by"
    assert saved()["failures"] == [
        f"numpynet forward {nothing}: another pass of the kernel is not right",
        f"numpynet backward {nothing}: it is WRONG",
    ]
    failed = run(*words, "--pass", "infer", "--fail-slower", "9", code=1)
    assert failed.stderr.splitlines()[-1] == f"bncli: numpynet infer {nothing}: the kernel has no infer"


def test_a_gate_needs_another_kernel_in_the_same_rounds():
    assert "put another kernel first" in run(*BASIC, "--fail-slower", "1.1", code=2).stderr
    both = ("--kernel", "numpy", "--kernel", "reference", "--shape", "5x4")
    assert "which --isolate and --timeout prevent" in run(*both, "--isolate", "--fail-slower", "1.1", code=2).stderr


# Sweeps.


def test_a_sweep_ends_with_exponents():
    words = ("--shape", "5x{2..32:x4}", "--kernel", "numpy", "--max-time", "0", "--format")
    shown = run(*words, "table").stdout
    title = shown.index("5x{2..32:x4}/per-activation/float64/eps=1e-08: time ~ size^k")
    assert shown.index("5x32/") < title
    assert "exponent k" in shown[title:]
    found = json.loads(run(*words, "json").stdout)
    assert {row["sweep"] for row in found["rows"]} == {"5x{2..32:x4}/per-activation/float64/eps=1e-08"}
    assert "exponent" not in run("--shape", "5x{2..8:x4}", *words[2:], "table").stdout


@pytest.mark.parametrize("threads", ["0", "1,0", "1,,2", "two", "1,-1", "1;2", ""])
def test_what_is_no_number_of_threads_is_one_line(threads):
    result = run(*BASIC, "--threads", threads, code=2)
    assert "write 2, or 1,2,4" in result.stderr
    assert result.stderr.count("\n") == 1


def test_each_number_of_threads_is_timed_where_a_kernel_can_be_bound():
    words = ("--shape", "5x40", "--kernel", "numpy", "--kernel", "numba", "--max-time", "0", "--pass", "forward")
    rows = json.loads(run(*words, "--threads", "1,1", "--format", "json").stdout)["rows"]
    assert [(row["kernel"], row["threads"]) for row in rows] == [("numpy", None), ("numba", 1), ("copy", 1)]


# The terminal.


@pytest.mark.compiled
def test_numba_is_named_when_it_compiles_and_not_when_it_has():
    told = []
    twice = numba.njit(lambda x: 2 * x)
    with _live.compilations(told.append):
        assert twice(3) == 6
        assert told == [__name__]
        assert twice(4) == 8
    assert twice(0.5) == 1.0  # anew, and nobody listens
    assert told == [__name__]


def test_compiling_is_told_of_by_whose_code_it_is():
    told = []
    live = _live.Live([None] * 4, lambda share, doing, detail=str: told.append((share, doing)))
    live.kind = "per-activation float64"
    live(1.5, "verifying")
    live.compiling("bncli.kernels._numba.whole")
    live.compiling("numba.np.arrayobj")
    live.compiling("mine")
    assert told == [
        (0.375, "verifying"),
        (0.375, "compiling numba's kernels for per-activation float64, once per machine"),
        (0.375, "compiling mine for per-activation float64"),
    ]


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns, whose clock is what ``now`` holds."""
    file = Console(force_terminal=True, width=80, file=io.StringIO())
    file.now = [100.0]
    monkeypatch.setattr(console, "stderr", lambda: file)
    monkeypatch.setattr(console, "monotonic", lambda: file.now[0])
    return file


def test_the_bar_tells_the_time_left_of_all(terminal):
    with console.progress(quietly=True) as update:
        update(0.0, "verifying")
        assert "left" not in terminal.file.getvalue()
        terminal.now[0] += 30
        update(0.25, "timing", lambda: "forward numpy 360 µs")
        shown = terminal.file.getvalue()
    assert "timing: forward numpy 360 µs" in shown
    assert "25 %" in shown
    assert "1:30 left" in shown


def test_the_bar_asks_for_details_only_when_it_is_drawn(terminal):
    asked = []
    with console.progress(quietly=True) as update:
        for _ in range(100):
            update(0.5, "timing", lambda: asked.append(1) or "now")
        assert len(asked) == 1
        terminal.now[0] += 1
        update(0.5, "timing", lambda: asked.append(1) or "later")
    assert len(asked) == 2


def test_the_bar_makes_room_for_tables(terminal):
    with console.progress(quietly=True) as update:
        update(0.5, "timing")
        with update.hidden():
            terminal.file.truncate(0)
            update(0.75, "verifying")
            assert "verifying" not in terminal.file.getvalue()
        assert "75 %" in terminal.file.getvalue()


def test_nothing_is_drawn_where_there_is_no_terminal(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(console, "stderr", lambda: Console(file=file))
    with console.progress(quietly=True) as update:
        update(0.5, "timing", lambda: pytest.fail("asked"))
        with update.hidden():
            pass
    assert file.getvalue() == ""
