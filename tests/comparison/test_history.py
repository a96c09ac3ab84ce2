"""More than two results, and kernels that were renamed."""

from pathlib import Path

import pytest

import command_line
from bncli import plugins
from bncli.comparison import saved
from bncli.comparison.compare import compare
from bncli.errors import InputError
from measured_runs import NEW, OLD, bench, measured, row

JSON = plugins.load("bncli.output.formats", "json").EXPORTER
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def run(*words, code=0, columns=120):
    return command_line.run("compare", *words, code=code, columns=columns)


def write(**reports):
    for name, report in reports.items():
        Path(f"{name}.json").write_text(JSON.render(report), encoding="utf-8")


def mine(seed, factor=1.0, kernel="mine"):
    return bench(row(kernel, samples=measured(seed, factor)))


def test_each_of_a_history_is_compared_with_the_first_and_with_the_one_before():
    write(a=mine(0), b=mine(1, 1.3), c=mine(2, 1.3))
    found = compare("a.json", "b.json", "c.json")
    assert [(each["run"], each["against"], each["verdict"]) for each in found.rows] == [
        ("b.json", "a.json", "SLOWER"),
        ("c.json", "a.json", "SLOWER"),
        ("c.json", "b.json", "SAME"),
    ]
    lines = run("a.json", "b.json", "c.json").stdout.splitlines()
    assert lines[1].split()[:4] == ["kernel", "pass", "run", "against"]
    assert lines[-2].split(":")[1].strip() == "2 SLOWER, 1 SAME"
    assert "run" not in compare("a.json", "b.json").rows[0]
    assert saved.load(Path("a.json")).rows[0]["kernel"] == "mine"


def test_only_the_last_of_a_history_fails():
    write(a=mine(0), b=mine(1, 1.3), c=mine(2), d=mine(3, 1.3))
    assert compare("a.json", "b.json", "c.json", fail_slower=1.1).failures == []
    failed = compare("a.json", "b.json", "c.json", "d.json", fail_slower=1.1)
    assert len(failed.failures) == 2  # against the first, and the one before
    run("a.json", "b.json", "d.json", "--fail-slower", "10%", code=1)


def test_rows_of_one_pass_are_together():
    found = compare(OLD, NEW, OLD)
    assert [(each["kernel"], each["direction"], each["run"]) for each in found.rows][:6] == [
        *[("numpy", "forward", name) for name in ("result 2", "result 3", "result 3")],
        *[("numba", "forward", name) for name in ("result 2", "result 3", "result 3")],
    ]


def test_files_of_the_same_name_are_told_by_their_folders():
    for folder in ("x", "y", "z"):
        Path(folder).mkdir()
        write(**{f"{folder}/run": mine(0)})
    assert {each["run"] for each in compare("x/run.json", "y/run.json", "z/run.json").rows} == {
        "y/run.json",
        "z/run.json",
    }


def test_one_file_is_no_comparison():
    write(a=mine(0))
    for words in ((), ("a.json",)):
        assert "compare takes two files or more, the oldest first" in run(*words, code=2).stderr


def test_a_kernel_of_another_name_is_compared_when_renamed():
    write(old=mine(0, kernel="before"), new=mine(1, 1.3))
    hint = "no kernel has the same name in both: old has before, new has mine: add --rename before=mine"
    assert hint in run("old.json", "new.json").stderr
    assert hint in run("old.json", "new.json", "--fail-slower", "1.1", code=2).stderr
    failed = run("old.json", "new.json", "--rename", "before=mine", "--fail-slower", "1.1", code=1)
    assert "mine forward" in failed.stderr
    assert hint not in failed.stderr
    (only,) = compare("new.json", "old.json", rename={"before": "mine"}).rows
    assert (only["kernel"], only["verdict"]) == ("mine", "FASTER")


def test_a_result_that_has_the_new_name_too_keeps_both():
    both = bench(row("before", samples=measured(1)), row("mine", samples=measured(2, 1.3)))
    found = compare(mine(0, kernel="before"), both, rename={"before": "mine"})
    assert {each["kernel"]: each["verdict"] for each in found.rows} == {"mine": "SLOWER", "before": "ONLY NEW"}


def test_a_renaming_that_changes_nothing_is_refused():
    both = bench(row("mine", samples=measured(1)), row("copy", "limit", measured(2)))
    with pytest.raises(InputError, match=r"--rename numba=mine changes no name: the kernels are before, mine$"):
        compare(mine(0, kernel="before"), both, rename={"numba": "mine"})
    write(old=mine(0), new=mine(1))
    for words in ("before", "=mine", "before="):
        assert (
            "write the old name and the new one, as before=mine"
            in run("old.json", "new.json", "--rename", words, code=2).stderr
        )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_and_what_shells_write_are_read(encoding):
    write(old=mine(0))
    Path("marked.json").write_text(Path("old.json").read_text(encoding="utf-8"), encoding=encoding)
    assert JSON.render(saved.load(Path("marked.json"))) == JSON.render(saved.load(Path("old.json")))


def test_a_preset_with_a_byte_order_mark_is_read():
    Path("mine.toml").write_text('[gradcheck]\nshape = ["5x4"]\nkernel = ["numpy"]\n', encoding="utf-8-sig")
    found = command_line.run("gradcheck", "--preset", "mine.toml")
    assert found.stdout.startswith("5x4/")
