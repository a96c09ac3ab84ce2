"""A system that lacks what others have: no /proc, no folder for temporary files, no more files to open."""

import os
import subprocess
import sys

import psutil
import pytest
from click.testing import CliRunner

from bncli.benchmarking import environment
from bncli.cli import main
from bncli.core import memory
from command_line import SMALL, rows, run

BNCLI = [sys.executable, "-m", "bncli"]


@pytest.fixture
def _without_proc(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")

    monkeypatch.setattr(psutil, "virtual_memory", missing)
    monkeypatch.setattr(psutil, "cpu_count", missing)


@pytest.mark.usefixtures("_without_proc", "_in_an_empty_folder")
def test_without_proc_the_machine_is_unknown_and_all_else_goes_on():
    facts = environment.collect()
    assert (facts["memory"], facts["memory_available"], facts["physical_cores"]) == (None, None, None)
    assert memory.free() == sys.maxsize
    assert {row["item"]: row["value"] for row in rows("info")}["memory"] == "–"
    run("gradcheck", "numpy", *SMALL, "--search", "0.1", "-o", "a.json")


def stopped(error):
    def stop(*_, **__):
        raise error

    return stop


@pytest.mark.usefixtures("_in_an_empty_folder")
@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (FileNotFoundError(2, "No such file or directory", "/proc/stat"), 2, "cannot use '/proc/stat': no such file"),
        (OSError(24, "Too many open files"), 3, "the system refused a call in test_bare_system.stop: too many open"),
    ],
)
def test_an_error_of_the_system_is_told_of_its_file_or_call(error, code, says, monkeypatch):
    monkeypatch.setattr(environment, "collect", stopped(error))
    assert says in run("kernels", "--format", "json", code=code).stderr


def test_where_no_folder_can_hold_temporary_files_the_variable_is_named(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["/nowhere"])
    said = run("gradcheck", "numpy", *SMALL, "--search", "0.1", code=3).stderr
    assert said.endswith("['/nowhere']: set TMPDIR to a folder that can be written\n")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="other systems have no such limit")
def test_a_process_that_cannot_be_started_is_one_line():
    import resource

    done = subprocess.run(
        [*BNCLI, "forward", "numpy", *SMALL, "--isolate"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert "no process can be started for it: [Errno 24] Too many open files" in done.stderr


@pytest.mark.usefixtures("_in_an_empty_folder")
@pytest.mark.parametrize("error", [psutil.NoSuchProcess(1), FileNotFoundError(2, "No such file", "/proc/stat")])
def test_without_proc_times_are_measured_and_the_load_is_unknown(error, monkeypatch):
    for name in ("Process", "cpu_times"):
        monkeypatch.setattr(psutil, name, stopped(error))
    found = rows("bench", "numpy", *SMALL, "--max-time", "0")
    assert {row["direction"] for row in found if row["median"]} == {"forward", "backward", "limit"}
    assert {row["others"] for row in found} == {None}


# What the packages raise that do not fit others, or lack a library of the system: their users report these.
BROKEN = {
    "PIL": ("ImportError('libjpeg.so.9: cannot open shared object file')", ("forward", "--image", "a.jpg")),
    "numba": ("ImportError('Numba needs NumPy 2.2 or less. Got NumPy 2.3.')", ("bench", "numpy", "--max-time", "0")),
    "psutil": ("AttributeError('no attribute boot_time')", ("gradcheck", "numpy")),
}


@pytest.mark.slow
@pytest.mark.usefixtures("_in_an_empty_folder")
@pytest.mark.parametrize("package", BROKEN)
def test_a_package_that_cannot_be_imported_is_named_in_one_line(package):
    error, words = BROKEN[package]
    os.mkdir("broken")
    with open(f"broken/{package}.py", "w", encoding="utf-8") as file:
        file.write(f"raise {error}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.abspath("broken"), *sys.path])}
    done = subprocess.run([*BNCLI, *words], env=environment, capture_output=True, text=True, check=False)
    kind, text = error.removesuffix("')").split("('")
    assert (done.returncode, done.stdout) == (3, "")
    told = f"bncli: error: the package {package} cannot be imported: {kind}: {text}"
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1


def test_what_needs_no_numba_goes_on_where_it_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "bncli.kernels.numba", raising=False)
    told = "Numba cannot be imported: ModuleNotFoundError: import of numba halted; None in sys.modules"
    assert {row["value"] for row in rows("info") if row["item"].startswith("numba th")} == {told}
    assert run("gradcheck", "numba", *SMALL, code=3).stderr.startswith("bncli: error: kernel 'numba' cannot run here: ")
    found = {row["kernel"]: row["available"] for row in rows("kernels")}
    assert "import of numba halted" in found["numba"]
    assert found["numpy"] == "yes"


@pytest.mark.parametrize("size", ["9" * 5000, "\u00b2", "wide", "-1", ""])
@pytest.mark.parametrize("name", ["COLUMNS", "LINES"])
def test_a_size_of_the_terminal_that_cannot_be_read_is_passed_over(name, size, monkeypatch):
    monkeypatch.setenv(name, size)
    result = CliRunner().invoke(main, ["presets"])
    assert (result.exit_code, result.stderr) == (0, "")
