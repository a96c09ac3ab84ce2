"""The file that pyperf reads."""

import json
import subprocess
import sys

import pytest

from bncli.core.report import Report
from bncli.output.formats.pyperf import EXPORTER
from command_line import run

ROWS = [
    {
        "problem": "5x3/per-activation/float32/eps=1e-05", "input": "--random normal --seed 0", "kernel": "numpy",
        "direction": direction, "verdict": "PASS", "median": 2e-3, "calls": 4, "samples": [1e-3, 2e-3, 4e-3],
    }
    for direction in ("forward", "backward")
]  # fmt: skip
UNTIMED = {"kernel": "numpynet", "direction": "backward", "problem": ROWS[0]["problem"], "verdict": "WRONG"}
ENVIRONMENT = {
    "bncli": "0.1.0", "cpu": "a cpu\nof two lines", "cores": 2, "physical_cores": None, "simd": ["AVX2", "FMA3"],
    "caches": {"L1": "48K", "L2": "1024K"}, "platform": "", "load": 0.5,
}  # fmt: skip
REPORT = Report("bench", (), [*ROWS, UNTIMED], environment=ENVIRONMENT)


def document(report=REPORT):
    return json.loads(EXPORTER.render(report))


def test_each_row_that_was_timed_is_a_benchmark():
    found = document()
    assert found["version"] == "1.0"
    assert [each["metadata"]["name"] for each in found["benchmarks"]] == [
        "numpy forward 5x3/per-activation/float32/eps=1e-05",
        "numpy backward 5x3/per-activation/float32/eps=1e-05",
    ]
    assert found["benchmarks"][0]["runs"] == [{"values": [1e-3, 2e-3, 4e-3], "metadata": {"loops": 4}}]


def test_each_process_is_a_run():
    (found,) = document(Report("bench", (), [{**ROWS[0], "processes": [1, 2]}]))["benchmarks"]
    assert found["runs"] == [{"values": values, "metadata": {"loops": 4}} for values in ([1e-3], [2e-3, 4e-3])]


def test_metadata_are_numbers_and_lines_of_text():
    assert document()["metadata"] == {
        "unit": "second",
        "bncli": "0.1.0",
        "cpu_model_name": "a cpu of two lines",
        "cpu_count": 2,
        "simd": "AVX2, FMA3",
        "caches": "L1 48K, L2 1024K",
        "load": 0.5,
    }


def test_no_two_benchmarks_have_the_same_name():
    rows = [
        {**ROWS[0], **more}
        for more in ({}, {"outputs": "given"}, {"threads": 2}, {"cache": "cold"}, {"input": "another"})
    ]
    names = [each["metadata"]["name"] for each in document(Report("bench", (), rows))["benchmarks"]]
    problem = ROWS[0]["problem"]
    assert names == [
        f"numpy forward {problem}",
        f"numpy forward {problem} given",
        f"numpy forward {problem} 2",
        f"numpy forward {problem} cold",
        f"numpy forward {problem} (2)",
    ]


def test_a_report_without_times_is_a_suite_without_benchmarks():
    assert document(Report("gradcheck", (), [UNTIMED]))["benchmarks"] == []


def test_the_longer_suffix_chooses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exports = ["--export", "a.json", "--export", "b.pyperf.json", "--export", "C.PYPERF.JSON"]
    words = ["bench", "--shape", "5x3", "--kernel", "numpy", "--max-time", "0", *exports]
    run(*words)
    kinds = {}
    for name in ("a.json", "b.pyperf.json", "C.PYPERF.JSON"):
        with open(name, encoding="utf-8") as file:
            kinds[name] = set(json.load(file))
    assert "schema" in kinds["a.json"]
    assert kinds["b.pyperf.json"] == kinds["C.PYPERF.JSON"] == {"version", "metadata", "benchmarks"}


# pyperf itself.

NOT_THERE = "pyperf is not installed: it comes with the test extra"


def test_pyperf_reads_what_we_write(tmp_path):
    pyperf = pytest.importorskip("pyperf", reason=NOT_THERE)
    path = tmp_path / "out.pyperf.json"
    path.write_text(EXPORTER.render(REPORT), encoding="utf-8")
    suite = pyperf.BenchmarkSuite.load(str(path))
    assert len(suite) == 2
    forward = suite.get_benchmark(document()["benchmarks"][0]["metadata"]["name"])
    assert forward.get_values() == (1e-3, 2e-3, 4e-3)
    assert forward.median() == 2e-3
    assert forward.get_loops() == 4
    assert forward.get_unit() == "second"
    assert forward.get_metadata()["kernel"] == "numpy"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["compare_to", "hist", "stats", "metadata"])
def test_pyperfs_own_commands_work_on_it(tmp_path, command):
    pytest.importorskip("pyperf", reason=NOT_THERE)
    slower = [{**row, "samples": [2 * s for s in row["samples"]]} for row in ROWS]
    for name, report in (("old", REPORT), ("new", Report("bench", (), slower, environment=ENVIRONMENT))):
        (tmp_path / f"{name}.pyperf.json").write_text(EXPORTER.render(report), encoding="utf-8")
    files = ["old.pyperf.json", "new.pyperf.json"][: 2 if command == "compare_to" else 1]
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", command, *files],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "numpy forward" in done.stdout
