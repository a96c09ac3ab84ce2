"""bncli compare: its table, its export, and files that it cannot compare."""

import json

import pytest

import bncli
import command_line
from bncli import plugins
from bncli.comparison.compare import compare
from measured_runs import NEW, OLD, PROBLEM, bench, measured, row


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
    return command_line.run("compare", *words, code=code, columns=columns)


def test_the_command_prints_a_table_and_fails_only_when_asked(files):
    files(old=OLD, new=NEW)
    result = run("old.json", "new.json")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "SLOWER" in result.stdout
    assert result.stdout.rstrip().endswith("5 rows: 1 SAME, 1 SLOWER, 1 FASTER, 1 ONLY OLD, 1 ONLY NEW")
    assert result.stderr == ""
    failed = run("old.json", "new.json", "--fail-slower", "1.10", code=1)
    assert failed.stdout.startswith(result.stdout.rstrip())
    assert failed.stderr.startswith(f"bncli: numba forward of {PROBLEM} takes 1.")
    unsure = run("old.json", "old.json", "--fail-slower", "1", code=4)  # the noise hides some slowdowns
    assert unsure.stderr.startswith(f"bncli: UNSURE: numpy forward of {PROBLEM}; less than 1.0")
    run("old.json", "old.json", "--fail-slower", "1", "--unsure", "pass")
    assert "a slowdown of 1.1" in run("old.json", "old.json", "--fail-slower", "10%").stdout


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
        (("old.json", "none.json"), "cannot read 'none.json': No such file or directory"),
        (("old.json", "old.json", "--fail-slower", "fast"), "'fast' is not a number: give 1 or more, as 1.10 or 10%"),
        (("old.json", "old.json", "--fail-slower", "nan"), "'nan' is not a finite number"),
        (("old.json", "old.json", "--fail-slower", "0.9"), "'0.9' is too small: give 1 or more, as 1.10 or 10%"),
        (("old.json", "old.json", "--unsure", "pass"), "--unsure is for --fail-slower"),
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
    command_line.run(*words)
    found = bncli.compare(path, path, fail_slower=9.0)
    assert [r["ratio"] for r in found.rows] == [1.0] * 4  # two passes, and the two limits of the memory
    assert found.failures == []


def test_memory_that_has_become_slower_is_shown_and_fails_nothing():
    same = row(samples=measured(0), cache="cold")  # it is not judged beside that limit
    old, new = (bench(same, row("copy", "limit", measured(1, factor))) for factor in (1.0, 2.0))
    found = compare(old, new, fail_slower=1.1)
    assert [r["verdict"] for r in found.rows] == ["SAME", "SLOWER"]
    assert found.failures == []
