"""The gates of a benchmark: a baseline, and the first kernel of the same rounds."""

import json
from pathlib import Path

import pytest

import bncli
from bench_runs import BASIC, run, saved
from bncli.benchmarking import bench as one
from bncli.benchmarking import environment
from bncli.benchmarking import gate as _gate
from bncli.benchmarking.gate import FirstKernelGate
from bncli.commands._types import Factor
from bncli.core.report import Report
from bncli.errors import GateUnsure, InputError
from command_line import invoke
from planted import typed

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


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
    result = invoke("compare", "old.json", "new.json", "--fail-slower", "1.10", columns=80)
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
        ("--fail-slower", "1.1"): "--fail-slower needs a baseline: add --baseline OLD.json",
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
    monkeypatch.setattr(environment, "collect", lambda *devices: here | {"cpu": "another"})
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


def outcome(row, factor=1.10):
    """The report of the gate of ``factor`` on ``row``, whose kernel is not the first one, main."""
    rows = FirstKernelGate(factor).judged(typed([row | {"kernel": "main"}, row]))
    return _gate.with_failures(Report("bench", (), rows[1:]), "main")


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (against(1 / 1.15), "SLOWER"),
        (against(1 / 1.15, width=0.02), "SLOWER"),
        (against(1 / 1.15, width=0.05), "UNSURE"),  # it may be 1.09
        (against(1 / 1.09), "PASS"),
        (against(1 / 1.09, width=0.02), "UNSURE"),  # it may be 1.11
        (against(1.0), "PASS"),
        (against(1.0, width=0.05), "PASS"),
        (against(1.0, width=0.2), "UNSURE"),
        (against(3.0), "PASS"),
        (against(3.0, width=0.5, noise=0.3), "PASS"),  # at most 0.87 of the time, whatever the noise
        (against(1.5, width=0.2, noise=0.5), "UNSURE"),
        (against(1 / 1.15, noise=0.2), "UNSURE"),
        (against(1.0, noise=0.2), "UNSURE"),
        (against(1 / 1.3, noise=0.2), "SLOWER"),
        (against(1 / 1.15, noise=None), "SLOWER"),
    ],
)
def test_a_gate_decides_or_is_unsure_and_never_passes_for_want_of_evidence(row, found):
    report = outcome(row)
    assert report.rows[0]["gate"] == found
    assert [each.startswith("mine forward of 5x4 takes 1.") for each in report.failures] == [True] * (found == "SLOWER")
    assert len(report.unsure) == (found == "UNSURE")


def test_the_roofline_and_the_first_kernel_are_no_passes_of_the_gate():
    limit = against(1 / 1.15, direction="limit")
    assert "gate" not in outcome(limit).rows[0]
    assert outcome(limit).failures == outcome(limit).unsure == []


def test_what_a_gate_would_have_seen_is_a_slowdown_that_it_calls_slower():
    row = outcome(against(1.0, width=0.05)).rows[0]
    assert row["gate_seen"] == pytest.approx(1.10 * 1.05)
    for more, found in ((1.001, "SLOWER"), (0.999, "UNSURE")):
        assert outcome(against(1 / (more * row["gate_seen"]), width=0.05)).rows[0]["gate"] == found
    unsure = outcome(against(1.0, width=0.05, noise=0.8))
    assert unsure.unsure == ["mine forward of 5x4; less than 1.89× cannot be seen here"]
    with pytest.raises(GateUnsure, match=r"^UNSURE: mine .* here: measure longer, or on a quiet machine$"):
        unsure.raise_if_failed()
    assert outcome(against(1.0, speedup_low=None)).unsure == ["mine forward of 5x4; a slowdown cannot be seen here"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"verdict": "WRONG"}, "has no time: it is WRONG"),
        ({"verdict": "PASS"}, "has no time: another pass of the kernel is not right"),
        ({}, "has no time: the kernel has no infer"),
        ({"verdict": "PASS", "median": 1e-3}, "cannot be compared: main has no time in its rounds"),
    ],
)
def test_what_has_no_time_shuts_the_gate(more, why):
    row = {"kernel": "mine", "direction": "infer", "problem": "5x4"} | more
    assert outcome(row).failures == [f"mine infer of 5x4 {why}"]


TIMED = {"median": 1e-3, "rounds": 50, "stopped": "time"}
NOISE, SLOWER, SAME = against(1.0, width=0.6, **TIMED), against(0.5, **TIMED), against(1.0, **TIMED)


@pytest.mark.parametrize(
    ("rows", "words", "code", "last"),
    [
        ([NOISE], (), 4, "bncli: UNSURE: mine forward of 5x4; less than 1.76× cannot be seen here: measure"),
        ([NOISE], ("--unsure", "fail"), 1, "bncli: UNSURE: mine forward of 5x4; less than"),
        ([NOISE], ("--unsure", "pass"), 0, "warning: UNSURE: mine forward of 5x4; less than"),
        ([SLOWER], (), 1, "bncli: mine forward of 5x4 takes 2.00× the time of numpy"),
        ([NOISE, SLOWER | {"problem": "6x4"}], (), 1, "bncli: mine forward of 6x4 takes 2.00× the time of numpy"),
        ([SAME], (), 0, ""),
    ],
)
def test_a_failure_is_exit_1_before_unsure_is_4_before_0(rows, words, code, last, monkeypatch):
    monkeypatch.setattr(one, "rows_of", lambda *given: typed([SAME | {"kernel": "numpy"}, *rows]))
    gate = ("--shape", "5x4", "--kernel", "numpy", "--kernel", "reference", "--fail-slower", "10%")
    found = run(*gate, *words, "--export", "out.json", code=code)
    lines = [line for line in found.stderr.splitlines() if not line.startswith("wrote ")]
    assert not last or lines[-1].startswith(last)
    assert ("UNSURE" in found.stderr) == (NOISE in rows)
    assert len(saved().get("unsure", ())) == (NOISE in rows and not words)
    decided = "a slowdown of 1.10× would have been seen" in " ".join(found.stdout.split())
    assert decided == (NOISE not in rows)


def test_options_of_a_gate_need_one():
    for words in (("--gate-time", "3"), ("--unsure", "pass")):
        assert f"{words[0]} is for --fail-slower: add --fail-slower" in run(*BASIC, *words, code=2).stderr


@pytest.mark.parametrize(
    ("typed", "factor"), [("1.10", 1.10), ("10%", 1.10), ("10 %", 1.10), ("0%", 1.0), ("2.5%", 1.025), ("100%", 2.0)]
)
def test_a_percentage_is_a_factor(typed, factor):
    assert Factor().convert(typed, None, None) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("0.10", "'0.10' is too small: give 1 or more, as 1.10 or 10%"),
        ("-5%", "'-5' is too small: give 0 or more"),
        ("%", "'' is not a number"),
        ("10%%", "'10%%' is not a number: give 1 or more, as 1.10 or 10%"),
        ("inf%", "'inf' is not a finite number"),
    ],
)
def test_a_factor_that_is_none_is_one_line(typed, message):
    assert message in run(*BASIC, "--fail-slower", typed, code=2).stderr


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
    with pytest.raises(InputError, match="and 'numpy' is alone: put the baseline before it"):
        bncli.bench("numpy", "5x4", fail_slower=1.5)


def test_the_command_fails_what_is_wrong_or_slower_than_the_first():
    words = ("--shape", "5x4", "--kernel", "numpy", "--kernel", "numpynet", "--max-time", "0")
    assert "numpynet" in run(*words, code=1).stdout
    run(*words, "--fail-slower", "9", "--export", "out.json", code=1)
    nothing = "of 5x4/per-activation/float64/eps=1e-08 has no time"
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
