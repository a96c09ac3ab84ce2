"""What bench writes in each format, and the same kernel twice."""

from pathlib import Path

import pytest

import bncli
from bench_runs import BASIC, run, saved
from bncli.benchmarking import bench as one
from command_line import fails, invoke
from planted import typed

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


@pytest.fixture(autouse=True)
def _planted(monkeypatch):
    """Times of every kernel; numpynet has none."""

    def rows(case, kernels, settings, *rest):
        place = {"problem": str(case.problem), "input": case.recipe, "outputs": "fresh", "note": ""}
        times = {
            "median": 1e-3, "low": 0.9e-3, "high": 1.1e-3, "rounds": 9, "stopped": "time", "samples": [1e-3] * 9,
            "outliers": 0, "speedup": 1.0, "of_limit": 2.0,
        }  # fmt: skip
        return typed(
            place | {"kernel": each.name, "direction": name}
            | ({"verdict": "WRONG"} if "numpynet" in each.name else {"verdict": "PASS", "digits": 7.0} | times)
            for each in kernels for name in settings.directions
        )  # fmt: skip

    monkeypatch.setattr(one, "rows_of", rows)


def titles(text):
    """The titles of the columns of each table of Markdown."""
    lines = text.splitlines()
    return [lines[i - 1].strip("| ").split(" | ") for i, line in enumerate(lines) if line.startswith("| ---")]


def test_markdown_has_the_tables_of_the_terminal():
    words = ("--shape", "5x4", "--shape", "6x4", "--kernel", "numpy", "--kernel", "reference")
    text = run(*words, "--format", "markdown", "--export", "out.md").stdout
    brief = ["kernel", "digits", "forward", "vs numpy", "×limit", "backward", "vs numpy", "×limit"]
    first, second, means = titles(text)
    assert first == second == brief
    assert means[:3] == ["kernel", "pass", "problems"]
    assert "- 9 samples each, until --max-time was up" in text
    assert Path("out.md").read_text(encoding="utf-8") == text
    wide, *_ = titles(run(*words, "--wide", "--format", "markdown").stdout)
    assert len(wide) > 20
    assert {"GB/s", "outliers", "first call"} <= set(wide)


def test_pyperf_is_for_times_only():
    assert "pyperf" in run(*BASIC, "--help").stdout
    assert "pyperf" not in invoke("info", "--help").stdout
    assert "'pyperf' is not one of" in invoke("info", "--format", "pyperf").stderr
    message = "'out.pyperf.json' would hold times, and info has none: use a .json"
    assert message in fails("info", "--export", "out.pyperf.json")
    words = ("--kernel", "numpynet", "--shape", "5x4", "--format", "pyperf", "--export", "out.pyperf.json")
    wrong = run(*words, code=1)
    assert wrong.stdout == ""
    assert "no kernel was timed, so pyperf's format would be empty, and is not written" in wrong.stderr
    assert not Path("out.pyperf.json").exists()


def test_the_same_kernel_twice_is_an_a_a_run():
    run(*BASIC, "--kernel", "numpy", "--kernel", "numpy", "--export", "out.json")
    names = ["numpy", "numpy (2)", "numpy (3)"]
    assert list(dict.fromkeys(row["kernel"] for row in saved()["rows"])) == names
    assert all(row["rerun"].count("--kernel numpy ") == 1 for row in saved()["rows"])
    assert "numpy (2)" not in run("--kernel", "all", "--kernel", "numpy", "--shape", "5x4", code=1).stdout
    own = bncli.Kernel(bncli.load_kernel("numpy").forward, bncli.load_kernel("numpy").backward, name="own")
    for twice, named in ((["numpy", "numpy"], names[:2]), ([own, own], ["own", "own (2)"])):
        found = bncli.bench(twice, "5x4")
        assert list(dict.fromkeys(row["kernel"] for row in found.rows)) == named


def test_two_files_of_one_name_and_one_of_them_twice():
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "mine.py").write_text("from bncli.kernels.numpy import backward, forward\n", encoding="utf-8")
    run("a/mine.py", "b/mine.py", "a/mine.py", "--shape", "5x4", "--export", "out.json")
    assert list(dict.fromkeys(row["kernel"] for row in saved()["rows"])) == ["a/mine.py", "b/mine.py", "a/mine.py (2)"]
