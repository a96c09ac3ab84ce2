"""The files of a benchmark after every problem, and its end by a signal or an error."""

import json
import os
import signal
from pathlib import Path

import pytest

import bncli
from bench_runs import problems_of, run, saved
from bncli.benchmarking import bench as one
from bncli.commands import _live
from bncli.core.report import Interrupted
from bncli.signals import ENDING

TWO = ("--shape", "5x4", "--shape", "6x4", "--kernel", "numpy", "--max-time", "0")
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


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
            if doing.startswith("timing"):
                told += 1
                if told == after:
                    signal.raise_signal(number)

        monkeypatch.setattr(_live.Live, "__call__", telling)

    return prepare


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_with_what_was_measured(number, signal_while_timing):
    before = signal.getsignal(number)
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
    assert document["warnings"][0] == "interrupted: the report has the results so far, of 1 problem"
    assert signal.getsignal(number) == before


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
