"""forward and backward by blocks on Dask workers: the bits of one process, whatever the cluster goes through."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from bncli.cluster import outputs
from bncli.cluster.stored import Stored, in_blocks
from bncli.core.case import complete
from bncli.core.kernel import Gradients
from bncli.core.source import Lazy, Request
from bncli.errors import InputError, Unavailable
from bncli.inputs import array
from bncli.kernels.dask import engine, runners
from bncli.loading.registry import load_kernel
from cluster_runs import PROBLEM

distributed = pytest.importorskip("distributed")
zarr = pytest.importorskip("zarr")
cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import the tests


def lazy_of(path):
    return array.SOURCE.lazy(Request((str(path),), layout=PROBLEM.layout, epsilon=PROBLEM.epsilon))


def silent(share, doing):
    pass


def run(what, cluster, lazy, save, name="y"):
    batch = in_blocks(lazy, seed=5)
    with outputs.opened(save, name, batch.problem, batch.cuts) as output:
        found = Stored(cluster, batch, output, silent).run(what)
        output.arrays({key: value for key, value in found.items() if isinstance(value, np.ndarray)})
    return found


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one_process(cluster, group, alone, tmp_path):
    seen = []
    batch = in_blocks(lazy_of(group), seed=5)
    assert len(batch.cuts) > 4
    with outputs.opened(tmp_path / "y.npy", "y", PROBLEM, batch.cuts) as output:
        Stored(cluster, batch, output, lambda share, doing: seen.append((share, doing))).run("train")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), PROBLEM.own(alone["y"]))
    assert [share for share, doing in seen if doing.startswith("y:")][-1] == 1
    run("backward", cluster, lazy_of(group), tmp_path / "dx.zarr", "dx")
    written = zarr.open_group(str(tmp_path / "dx.zarr"), mode="r")
    for name in ("dx", "dgamma", "dbeta", "mean", "var", "inv_std"):
        np.testing.assert_array_equal(written[name][...], PROBLEM.own(alone[name]), name)


@pytest.mark.slow
def test_many_shares_and_statistics_in_slices_change_no_bit(cluster, group, alone, tmp_path, monkeypatch):
    whole = run("backward", cluster, lazy_of(group), None, "dx")
    # Shares of 2 blocks, merged by workers in pairs; 6 features, sent as 4 and 2.
    monkeypatch.setattr(engine, "LONGEST", 2)
    for name, value in {"FAN": 2, "SLICE": 4, "INLINE": 0}.items():
        monkeypatch.setattr(runners, name, value)
    found = run("backward", cluster, lazy_of(group), tmp_path / "dx.npy", "dx")
    np.testing.assert_array_equal(np.load(tmp_path / "dx.npy"), PROBLEM.own(alone["dx"]))
    for name in ("x", "dy", "dx"):
        assert repr(found[name]) == repr(whole[name])


@pytest.mark.slow
def test_the_summaries_are_those_of_the_arrays(cluster, group, alone, case):
    found = run("backward", cluster, lazy_of(group), None, "dx")
    found |= run("train", cluster, lazy_of(group), None)
    x_hat = (case.x - alone["mean"][:, None]) * alone["inv_std"][:, None]
    for name, whole in {"x": case.x, "dy": case.dy, "y": alone["y"], "dx": alone["dx"], "x_hat": x_hat}.items():
        least, most, (samples, mean, squares) = found[name]
        axes = (0, 2) if name == "x_hat" else None
        assert (least, most) == pytest.approx((whole.min(), whole.max()), rel=1e-6)
        np.testing.assert_allclose(mean, np.mean(whole, axes, dtype=float), rtol=0, atol=1e-6)
        np.testing.assert_allclose(squares / samples, np.var(whole, axes, dtype=float), rtol=1e-5)


@pytest.mark.slow
def test_inference_uses_the_given_statistics(cluster, group, case, tmp_path):
    held = zarr.open_group(str(group), mode="a")
    mean, var = np.random.default_rng(2).uniform(1, 2, (2, PROBLEM.features))
    for name, value in {"mean": mean, "var": var}.items():
        held.create_array(name, data=value)
    run("infer", cluster, lazy_of(group), tmp_path / "y.npy")
    expected = load_kernel("dask").infer(case.x, case.gamma, case.beta, mean, var, PROBLEM.epsilon)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), PROBLEM.own(expected))


@pytest.mark.slow
def test_inference_gives_the_bits_of_one_process_in_float64_too(cluster, tmp_path):
    held = zarr.open_group(str(tmp_path / "in.zarr"), mode="w")
    rng = np.random.default_rng(2)
    arrays = {"x": rng.normal(3, 2, (300, 70)), **dict(zip(("mean", "var"), rng.uniform(1, 2, (2, 70)), strict=True))}
    for name, value in arrays.items():
        held.create_array(name, data=value)
    lazy = array.SOURCE.lazy(Request((str(tmp_path / "in.zarr"),)))
    run("infer", cluster, lazy, tmp_path / "y.npy")
    case = complete(lazy.problem, arrays, seed=5)
    expected = load_kernel("dask").infer(case.x, case.gamma, case.beta, case.mean, case.var, case.problem.epsilon)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), case.problem.own(expected))


@pytest.mark.slow
def test_a_dy_that_is_drawn_by_blocks_is_seeded_and_shows_every_term(cluster, case, tmp_path):
    np.save(tmp_path / "x.npy", PROBLEM.own(case.x))
    first, again = (run("backward", cluster, lazy_of(tmp_path / "x.npy"), None, "dx") for _ in range(2))
    np.testing.assert_array_equal(first["dgamma"], again["dgamma"])
    assert first["dy"].least == again["dy"].least
    # As in a batch in memory, the multiples of 1 and of x_hat are between 0.5 and 1.5: no term of dx is lost.
    for name in ("dgamma", "dbeta"):
        assert (np.abs(first[name]) / PROBLEM.samples > 0.3).all()


@pytest.mark.slow
def test_the_kernel_takes_arrays_to_the_cluster_and_back(cluster, case, alone):
    kernel = load_kernel("dask")
    with cluster.client.as_current(), distributed.get_task_stream(cluster.client) as stream:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, PROBLEM.epsilon)
        found = {"y": y, **saved._asdict(), **Gradients(*kernel.backward(case.dy, saved))._asdict()}
        inferred = kernel.infer(case.x, case.gamma, case.beta, saved.mean, saved.var, PROBLEM.epsilon)
    for name, value in alone.items():
        np.testing.assert_array_equal(found[name], value, name)
    np.testing.assert_array_equal(inferred, y)
    assert {record["worker"] for record in stream.data} == set(cluster.client.nthreads())


@pytest.mark.slow
def test_a_session_leaves_the_kernel_to_this_process(cluster, case, alone):
    with distributed.get_task_stream(cluster.client) as stream:
        y, _ = load_kernel("dask").forward(case.x, case.gamma, case.beta, PROBLEM.epsilon)
    np.testing.assert_array_equal(y, alone["y"])
    assert not stream.data


@pytest.mark.slow
def test_nothing_of_a_run_listens_beyond_this_machine(cluster):
    """Whoever reaches one of these sockets can run code in its process."""
    own = psutil.Process()
    run = {process.pid for process in (own, *own.children(recursive=True))}
    sockets = [socket for socket in psutil.net_connections("inet") if socket.pid in run]
    listening = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert cluster.client.scheduler.address.startswith("tcp://127.0.0.1:")


class Deadly:
    """Rows whose second block kills the worker that reads it: ``lives`` times, or always."""

    step = 1

    def __init__(self, rows, folder, lives):
        self.rows, self.shape, self.folder, self.lives = rows, rows.shape, folder, lives

    def part(self, first, last):
        read = self.rows.part(first, last)
        return partial(read_or_die, read, str(self.folder), self.lives) if first == 5 else read


def read_or_die(read, folder, lives):
    dead = len(os.listdir(folder))
    if lives is None or dead < lives:
        Path(folder, str(dead)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return read()


def deadly(group, folder, lives):
    folder.mkdir()
    lazy = lazy_of(group)
    return Lazy(lazy.problem, {**lazy.batches, "x": Deadly(lazy.batches["x"], folder, lives)}, lazy.arrays)


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_no_bit(cluster, group, alone, tmp_path):
    before = {facts["pid"] for facts in cluster.workers.values()}
    lazy = deadly(group, tmp_path / "graves", lives=1)
    run("backward", cluster, lazy, tmp_path / "dx.npy", "dx")
    assert len(list((tmp_path / "graves").iterdir())) == 1
    cluster.client.wait_for_workers(2, timeout=150)
    assert before != set(cluster.client.run(os.getpid).values())
    np.testing.assert_array_equal(np.load(tmp_path / "dx.npy"), PROBLEM.own(alone["dx"]))


@pytest.mark.slow
def test_a_block_that_kills_every_worker_is_an_error_and_harms_no_file(cluster, group, tmp_path):
    (tmp_path / "y.npy").write_text("what was there")
    allowed = cluster.client.run_on_scheduler(forgive, 0)
    with pytest.raises(Unavailable) as raised:
        run("train", cluster, deadly(group, tmp_path / "graves", lives=None), tmp_path / "y.npy")
    assert str(raised.value) == (
        "workers died repeatedly on the same block, perhaps out of memory, or above the limit of 512 MiB; "
        "nothing was written"
    )
    assert (tmp_path / "y.npy").read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graves", "in.zarr", "y.npy"]
    cluster.client.run_on_scheduler(forgive, allowed)
    cluster.client.wait_for_workers(2, timeout=150)


def forgive(failures, dask_scheduler):
    """Let a task kill so many workers; returns how many it might before."""
    before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, failures
    return before


@pytest.mark.slow
def test_what_a_block_cannot_be_read_for_is_the_error(cluster, tmp_path):
    np.save(tmp_path / "x.npy", np.where(np.arange(120).reshape(40, 3) == 70, 1e300, 1.0))
    lazy = array.SOURCE.lazy(Request((str(tmp_path / "x.npy"),), dtype="float32"))
    with pytest.raises(InputError, match=r"x holds 1e\+300, too large for float32"):
        run("train", cluster, lazy, tmp_path / "y.npy")
    assert not (tmp_path / "y.npy").exists()
