"""The command line with a cluster: what it shows, warns of and refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import psutil
import pytest
from PIL import Image

from bncli.cluster import by_blocks
from bncli.cluster.session import require_memory
from bncli.errors import InputError
from cluster_runs import PROBLEM, cli

distributed = pytest.importorskip("distributed")
zarr = pytest.importorskip("zarr")
cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import the tests


@pytest.mark.slow
def test_the_command_line_uses_a_cluster_that_is_running(cluster, group, alone, tmp_path):
    words = ("--kernel", "dask", "--array", group, "--layout", "channels-first", "--epsilon", "1e-5", "--seed", "5")
    address = cluster.client.scheduler.address
    done = cli("forward", *words, "--scheduler", address, "--save", tmp_path / "y.zarr", "--format", "json")
    assert (done.exit_code, done.stderr) == (0, f"wrote '{tmp_path / 'y.zarr'}'\n")
    np.testing.assert_array_equal(zarr.open(str(tmp_path / "y.zarr"))["y"][...], PROBLEM.own(alone["y"]))
    rows = {row["array"]: row for row in json.loads(done.stdout)["rows"]}
    assert list(rows) == ["x", "x_hat", "y"]
    expected = {row["array"]: row for row in json.loads(cli("forward", *words, "--format", "json").stdout)["rows"]}
    for name, row in rows.items():
        for key in ("problem", "input", "mode", "kernel", "shape", "dtype"):
            assert row[key] == expected[name][key]
        assert (row["min"], row["max"]) == pytest.approx((expected[name]["min"], expected[name]["max"]), rel=1e-6)
        assert (row["mean"], row["std"]) == pytest.approx((expected[name]["mean"], expected[name]["std"]), abs=1e-6)
    assert rows["x"]["peak_memory"] >= rows["x"]["base_memory"] > 0
    assert cluster.client.run(os.getpid)  # it is still there


def test_images_left_out_are_a_warning_of_a_cluster_too(cluster, tmp_path):
    for name in "ab":
        Image.new("RGB", (4, 3)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").touch()
    words = ("--image", tmp_path, "--skip-broken", "--layout", "channels-last", "--seed", "5")
    done = cli("forward", "--kernel", "dask", *words, "--scheduler", cluster.client.scheduler.address)
    assert done.exit_code == 0
    assert "warning: 1 of 3 image files left out\n" in done.stderr


def test_backward_of_a_cluster_shows_and_saves_what_one_process_does(cluster, group, alone, tmp_path):
    words = ("--kernel", "dask", "--array", group, "--layout", "channels-first", "--epsilon", "1e-5", "--seed", "5")
    address = cluster.client.scheduler.address
    done = cli("backward", *words, "--scheduler", address, "--save", tmp_path / "dx.npy", "--format", "json", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "dx.npy"), PROBLEM.own(alone["dx"]))
    rows = {row["array"]: row for row in json.loads(done.stdout)["rows"]}
    expected = {row["array"]: row for row in json.loads(cli("backward", *words, "--format", "json").stdout)["rows"]}
    assert list(rows) == ["x", "dy", "gamma", "beta", "dx", "dgamma", "dbeta"]
    for name, row in rows.items():
        assert row["shape"] == expected[name]["shape"]
        for figure in ("min", "max", "mean", "std"):
            assert row[figure] == pytest.approx(expected[name][figure], rel=1e-5, abs=1e-6), (name, figure)


@pytest.mark.slow
def test_the_dashboard_and_the_dead_are_told_of(cluster, group, monkeypatch):
    threads = {**cluster.client.nthreads(), "tcp://127.0.0.1:1": 1}  # one that is not there any more
    changed = replace(cluster, dashboard="http://127.0.0.1:1/status", threads=threads, warnings=[])
    monkeypatch.setattr(by_blocks, "session", lambda wanted, dtype: nullcontext(changed))
    done = cli("forward", "--kernel", "dask", "--array", group, "--workers", "3", "--memory-limit", "512MiB")
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "dashboard: http://127.0.0.1:1/status",
        "warning: 1 worker died during the run; others repeated their blocks",
    ]


@pytest.mark.slow
def test_data_that_deserve_a_warning_get_it_by_blocks_too(cluster, tmp_path):
    words = ("forward", "--kernel", "dask", "--scheduler", cluster.client.scheduler.address, "--array")
    np.save(tmp_path / "nan.npy", np.where(np.arange(60).reshape(20, 3) == 41, np.nan, 1.0))
    np.save(tmp_path / "one.npy", np.ones((1, 3)))
    assert (
        "20x3/per-activation/float64/eps=1e-08: values of x are NaN or infinite"
        in cli(*words, tmp_path / "nan.npy").stderr
    )
    assert "with one sample per feature, x_hat and dx are always 0" in cli(*words, tmp_path / "one.npy").stderr


@pytest.mark.slow
def test_versions_that_differ_are_said(cluster, group, monkeypatch):
    get_versions = distributed.Client.get_versions

    def others(client, packages):
        found = get_versions(client, packages=packages)
        found["client"]["packages"] |= {"numba": "0.1", "dask": "0.2"}
        return found

    monkeypatch.setattr(distributed.Client, "get_versions", others)
    address = cluster.client.scheduler.address
    done = cli("forward", "--kernel", "dask", "--array", group, "--scheduler", address)
    assert done.exit_code == 0
    assert [line for line in done.stderr.splitlines() if line.startswith("warning: ")] == [
        f"warning: {name} is {own} here and {version(name)} at the scheduler: install the same one"
        for name, own in (("dask", "0.2"), ("numba", "0.1"))
    ]


@pytest.mark.slow
def test_a_memory_limit_that_cannot_do_is_said_before_any_block(cluster):
    require_memory(cluster, 1 << 20)
    with pytest.raises(InputError, match=r"--memory-limit 512 MiB is not enough: a worker takes .* and up to 1.00 GiB"):
        require_memory(cluster, 1 << 30)


def test_bench_on_workers_needs_the_kernel_that_they_run():
    done = cli("bench", "--kernel", "numpy", "--shape", "4x3", "--workers", "1,2", "--max-time", "0")
    assert (done.exit_code, done.stderr) == (2, "bncli: error: --workers times the kernel dask: add --kernel dask\n")
    refused = cli("bench", "--workers", "1,").stderr
    assert refused.count("'1,' is not a number of workers or a list of numbers: write 2, or 1,2,4") == 1


REFUSED = {
    (
        "--array",
        "x.npy",
        "--workers",
        "1",
    ): "a cluster runs the kernel dask alone, not numpy and numba: add --kernel dask",
    (
        "--kernel",
        "dask",
        "--workers",
        "1",
    ): "--random is not read by blocks: store the batch, and give --array or --image",
    ("--kernel", "dask", "--array", "x.npy", "--workers", "1", "--save", "y.npz"): (
        "--save 'y.npz' is written block by block, as .npy or .zarr: give it one of these suffixes"
    ),
    ("--kernel", "dask", "--array", "half.npy", "--workers", "1"): (
        "kernel 'dask' does not take float16: use --dtype float32 or float64"
    ),
    ("--kernel", "dask", "--array", "x.npy", "--workers", "1", "--mode", "infer"): (
        "inference needs mean and var: give --array with a Zarr group that holds them"
    ),
    ("--kernel", "dask", "--array", "x.npy", "--workers", "1", "--scheduler", "tcp://127.0.0.1:1"): (
        "--scheduler names a running cluster: leave out --workers and --memory-limit"
    ),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_done_by_blocks_is_refused_before_any_worker_starts(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones((4, 3)))
    np.save("half.npy", np.ones((4, 3), np.float16))
    done = cli("forward", *words)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"bncli: error: {REFUSED[words]}\n")


@pytest.mark.parametrize(
    ("written", "size"),
    [("1000", 1000), ("256MiB", 256 << 20), ("256M", 256 << 20), ("1.5GiB", 3 << 29), ("2KB", 2048), ("1T", 1 << 40)],
)
def test_a_size_is_written_with_its_unit(written, size, monkeypatch, tmp_path):
    def refuse(wanted, dtype):
        raise InputError(f"asked for {wanted.memory_limit} bytes")

    monkeypatch.setattr(by_blocks, "session", refuse)
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    done = cli("forward", "--kernel", "dask", "--array", tmp_path / "x.npy", "--memory-limit", written)
    assert done.stderr == f"bncli: error: asked for {size} bytes\n"


@pytest.mark.parametrize("written", ["256MiBs", "-1", "0", "0.0G", "M", "1e9", "MiB256", "\u0661MiB"])
def test_what_is_no_size_is_said(written):
    done = cli("forward", "--kernel", "dask", "--memory-limit", written)
    assert done.exit_code == 2
    assert f"{written!r} is not a size in bytes: write it as 256MiB" in done.stderr


def test_update_is_refused_by_blocks():
    done = cli("backward", "--kernel", "dask", "--update", "--workers", "1")
    assert done.exit_code == 2
    assert "--update needs the batch in memory" in done.stderr


def test_a_scheduler_that_is_not_there_is_exit_3(monkeypatch, tmp_path):
    monkeypatch.setattr("bncli.cluster.session.PATIENCE", 0.2)
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    done = cli("forward", "--kernel", "dask", "--array", tmp_path / "x.npy", "--scheduler", "tcp://127.0.0.1:1")
    assert done.exit_code == 3
    assert done.stderr.startswith("bncli: error: no Dask scheduler with workers answers at 'tcp://127.0.0.1:1': start")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends Ctrl-C as a terminal of Unix does")
def test_ctrl_c_closes_everything_and_leaves_nothing(tmp_path):
    with (tmp_path / "x.npy").open("wb") as file:
        shape = (1 << 16, 1 << 16)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * shape[0] * shape[1])  # more than can be done meanwhile
    words = ("forward", "--kernel", "dask", "--array", "x.npy", "--workers", "2", "--save", "y.npy")
    command = subprocess.Popen(
        [sys.executable, "-m", "bncli", *words],
        cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob(".y.npy.*"))) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)  # until the work on blocks has begun
    children = psutil.Process(command.pid).children(recursive=True)
    assert len(children) >= 2
    os.killpg(command.pid, signal.SIGINT)  # a terminal sends it to the workers, too
    out, err = command.communicate(timeout=150)
    assert (command.returncode, out, err.strip()) == (130, "", "bncli: interrupted")
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
