"""A system that lacks what others have: no /proc, no folder for temporary files, no more files to open."""

import os
import subprocess
import sys

import psutil
import pytest

from bncli.benchmarking import environment
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
    assert says in run("kernels", code=code).stderr


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
