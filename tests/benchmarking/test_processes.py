"""A problem that several processes measure."""

import os
from pathlib import Path

import pytest

import bncli
from bncli.benchmarking import processes
from bncli.core.kernel import Kernel
from bncli.errors import InputError, KernelLost
from bncli.kernels.numpy import KERNEL as NUMPY
from command_line import invoke

# Says which process it is in, and is wrong in one of them.
SPY = """
import os
from pathlib import Path
from bncli.kernels import numpy as right

FOLDER = Path({folder!r})
NUMBER = len(list(FOLDER.glob("*.pid")))
(FOLDER / f"{{os.getpid()}}.pid").touch()


def forward(x, gamma, beta, epsilon):
    y, saved = right.forward(x, gamma, beta, epsilon)
    return y + (NUMBER == {wrong}), saved


backward = right.backward
"""


@pytest.fixture
def spy(tmp_path):
    def write(wrong=-1):
        file = tmp_path / "spy.py"
        file.write_text(SPY.format(folder=str(tmp_path), wrong=wrong), encoding="utf-8")
        return str(file)

    return write


def pids(folder):
    return {int(path.stem) for path in Path(folder).glob("*.pid")}


@pytest.mark.slow
@pytest.mark.compiled
def test_each_process_has_its_share_of_the_samples(spy, tmp_path):
    report = bncli.bench(["numpy", spy()], "5x4", max_time=0, processes=2)
    assert len(pids(tmp_path) - {os.getpid()}) == 2
    assert {tuple(row["processes"]) for row in report.rows} == {(5, 5)}
    assert {len(row["samples"]) for row in report.rows} == {10}
    assert {row["kernel"] for row in report.rows} == {"numpy", "spy", "copy", "add"}
    report.raise_if_failed()


@pytest.mark.slow
@pytest.mark.compiled
def test_a_kernel_that_is_wrong_in_one_process_gets_no_time(spy):
    rows = bncli.bench(["numpy", spy(wrong=2)], "5x4", max_time=0, processes=2).rows  # 0 is this one
    timed = {(row["kernel"], row["direction"]): "median" in row for row in rows}
    assert timed["numpy", "forward"]
    assert not timed["spy", "forward"]
    assert "WRONG" in next(row["note"] for row in rows if row["kernel"] == "spy")


def test_an_interruption_keeps_what_processes_have_measured(make_case, monkeypatch):
    settings = processes.Settings(max_time=0, processes=3)
    case, kernel = make_case("5x4"), bncli.load_kernel("numpy")
    done, stop = [], [2]

    def measured(case, kernels, share):
        if len(done) == stop[0]:
            raise KeyboardInterrupt
        done.append(share)
        return processes.measure(case, kernels, share)

    monkeypatch.setattr(processes, "_elsewhere", measured)
    rows = processes.rows_of_processes(case, [kernel], settings)
    assert {row["stopped"] for row in rows} == {"interrupted"}
    assert {tuple(row["processes"]) for row in rows} == {(5, 5)}
    assert done == [processes.replace(settings, max_time=0, processes=1)] * 2
    for stop[0], kernels in ((0, [kernel]), (1, [bncli.load_kernel("numpynet")])):  # or no kernel is right
        done.clear()
        with pytest.raises(KeyboardInterrupt):
            processes.rows_of_processes(case, kernels, settings)


def test_the_time_is_shared_and_told(make_case, monkeypatch):
    shares, told = [], []
    outcome = processes.Measured(())
    monkeypatch.setattr(processes, "_elsewhere", lambda case, kernels, share: shares.append(share) or outcome)
    settings = processes.Settings(max_time=6.0, processes=3)
    processes.rows_of_processes(make_case("5x4"), [NUMPY], settings, lambda share, doing: told.append((share, doing)))
    assert [share.max_time for share in shares] == [2.0] * 3
    assert told[1] == (1 / 3, "5x4/per-activation/float64/eps=1e-08: process 2 of 3")


@pytest.mark.slow
def test_a_process_that_ends_is_the_fault_of_one_of_its_kernels(spy, tmp_path):
    source = Path(spy()).read_text(encoding="utf-8")
    ending = tmp_path / "ending.py"
    ending.write_text(
        source.replace("    y, saved =", "    os._exit(3) if NUMBER else None\n    y, saved ="), encoding="utf-8"
    )
    ended = "it ended its process, with status 3"
    with pytest.raises(KernelLost, match=rf"^one of the kernels numpy, ending: {ended}: find it with --isolate$"):
        bncli.bench(["numpy", str(ending)], "5x4", max_time=0, processes=2)
    with pytest.raises(KernelLost, match=rf"^kernel 'ending': {ended}$"):
        bncli.bench(str(ending), "5x4", max_time=0, processes=2)


def test_only_names_and_files_can_be_given_to_other_processes():
    mine = Kernel(NUMPY.forward, NUMPY.backward, name="mine")
    with pytest.raises(InputError, match=r"^kernel 'mine' cannot be given to other processes: give its name"):
        bncli.bench(mine, "5x4", processes=2)
    with pytest.raises(InputError, match=r"^processes is 0: at least one process measures$"):
        bncli.bench("numpy", "5x4", processes=0)
    words = ["bench", "--kernel", "numpy", "--shape", "5x4", "--processes", "2"]
    for apart in (["--isolate"], ["--timeout", "5"]):
        refused = invoke(*words, *apart)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.splitlines() == [
            "bncli: error: kernel 'numpy' is isolated and so has one process: "
            "leave out --processes, or --isolate and --timeout"
        ]
