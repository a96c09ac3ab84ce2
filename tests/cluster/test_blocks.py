"""What a worker does with a block, and what a cluster fails of, each by itself: no cluster is started."""

import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from bncli.cluster import failures, outputs, stored, tasks
from bncli.cluster import session as sessions
from bncli.cluster.session import session
from bncli.cluster.stored import Stored
from bncli.cluster.tasks import Block, Drawn, Stretch, normalize, propagate, sums
from bncli.cluster.wanted import Wanted
from bncli.core.case import generator
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.core.source import Lazy
from bncli.errors import InputError, Unavailable
from bncli.kernels.dask.normalization import Statistics

SHAPE, AXES = (7, 3, 4), (0, 2)
RNG = np.random.default_rng(0)
X, DY = RNG.normal(2, 3, (2, *SHAPE)).astype(np.float32)
MEAN, SCALE, BETA, SLOPE, MEAN_DY = RNG.normal(size=(5, 3))
TERMS = OFFSET, ALONG = np.array([[0.5, -1.0, 1.5], [0.25, -0.5, 0.75]])


def test_a_stored_block_is_loaded_in_its_shape():
    block = Block(lambda: X.reshape(7, 3, 2, 2), Drawn(seed=5, block=2))
    loaded = block.loaded(Layout.CHANNELS_FIRST)
    np.testing.assert_array_equal(loaded.x, X)
    assert loaded.dy == block.dy


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_share_is_read_in_order_and_no_further_ahead_than_memory_allows(ahead):
    read = []

    def stored(number):
        def load():
            read.append(number)
            return np.full((2, 3), float(number))

        return Block(load)

    share = Stretch([stored(number) for number in range(5)], Layout.PER_ACTIVATION, ahead, "run", 0)
    for number, block in enumerate(share):
        np.testing.assert_array_equal(block.x, np.full((2, 3, 1), float(number)))
        assert len(read) <= number + 1 + ahead
    assert read == list(range(5))


def test_a_share_that_is_given_up_waits_for_no_read():
    # The garbage collector may end it in the thread that the reading needs: waiting there never ended.
    freed = threading.Event()

    def load():
        assert freed.wait(60)
        return np.ones((2, 3))

    blocks = [Block(lambda: np.ones((2, 3))), *[Block(load)] * 2]
    share = iter(Stretch(blocks, Layout.PER_ACTIVATION, 1, "run", 0))
    next(share)
    closing = threading.Thread(target=share.close)
    closing.start()
    closing.join(30)
    waits = closing.is_alive()
    freed.set()
    closing.join()
    assert not waits


def line(per_feature):
    return per_feature[:, None]


def summarised(found, array, axes=None):
    least, most, (samples, mean, squares) = found
    assert (least, most) == (array.min(), array.max())
    np.testing.assert_allclose(mean, np.mean(array, axes, dtype=float), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(squares / samples, np.var(array, axes, dtype=float), rtol=1e-6)


@pytest.mark.parametrize("written", [True, False])
def test_a_block_is_normalized_written_and_summed_up(written):
    kept, inv_std = [], np.array([0.5, 2.0, 1.0])
    write = (lambda y: kept.append(y.copy())) if written else None  # its memory is used again
    found = normalize(Block(X, write=write), MEAN, inv_std, SCALE, BETA)
    y = ((X - line(MEAN)) * line(SCALE) + line(BETA)).astype(np.float32)
    assert len(kept) == written
    for array in kept:
        np.testing.assert_array_equal(array, y)
    summarised(found["y"], y)
    summarised(found["x_hat"], ((X - line(MEAN)) * line(inv_std)).astype(np.float32), AXES)


@pytest.mark.parametrize("writeable", [True, False])
def test_a_blocks_gradient_is_propagated_and_its_sums_are_those_of_all_its_samples(writeable):
    dy = DY.copy()
    dy.flags.writeable = writeable  # then dx takes its place
    shown = sums(Block(X, dy), MEAN)
    of_dy, of_product = shown["sums"]
    np.testing.assert_allclose(of_dy, DY.sum(AXES, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(of_product, (DY * (X - line(MEAN))).sum(AXES), rtol=1e-12)
    summarised(shown["dy"], DY)
    kept = []
    shown = propagate(Block(X, dy, kept.append), MEAN, SLOPE, MEAN_DY, SCALE)
    dx = (line(SCALE) * (DY - line(MEAN_DY) - (X - line(MEAN)) * line(SLOPE))).astype(np.float32)
    np.testing.assert_allclose(kept[0], dx, rtol=1e-6, atol=1e-6)
    summarised(shown["dx"], kept[0])
    assert np.array_equal(dy, DY) is not writeable


def test_a_gradient_that_is_drawn_for_a_block_is_the_same_whenever_it_is_needed():
    noise = generator(5, "dy", 2).standard_normal(SHAPE, dtype=np.float32)
    dy = ((X - line(MEAN)) * line(ALONG) + line(OFFSET)).astype(np.float32) + noise
    drawn = Drawn(seed=5, block=2)
    shown = sums(Block(X, drawn), MEAN, *TERMS)
    of_dy = shown["sums"].of_dy
    np.testing.assert_allclose(of_dy, dy.sum(AXES, dtype=float), rtol=1e-6)
    summarised(shown["dy"], dy)
    kept = []
    for gradient in (drawn, dy):
        propagate(Block(X, gradient, kept.append), MEAN, SLOPE, MEAN_DY, SCALE, *TERMS)
    np.testing.assert_allclose(kept[0], kept[1], rtol=1e-6, atol=1e-6)
    other = sums(Block(X, Drawn(seed=5, block=3)), MEAN, *TERMS)["sums"].of_dy
    assert not np.allclose(other, of_dy)


# What a cluster fails of.


@pytest.mark.parametrize(
    ("error", "limit", "said"),
    [
        (TimeoutError("no\nanswer"), None, "the workers did not start (no answer)"),
        (
            TimeoutError("no answer"),
            64 << 20,
            "the workers did not start (no answer): --memory-limit 64.0 MiB may be less than a worker takes without "
            "a block",
        ),
        (ImportError("old"), None, "the workers cannot import bncli: install this version there (old)"),
        (
            RuntimeError("ModuleNotFoundError: No module named 'bncli'"),
            None,
            "the workers cannot import bncli: install this version there "
            "(ModuleNotFoundError: No module named 'bncli')",
        ),
        (Unavailable("no scheduler"), 64 << 20, "no scheduler"),
    ],
)
def test_what_the_start_of_a_cluster_fails_of_is_one_line(error, limit, said):
    with pytest.raises(Unavailable) as raised, failures.translated(limit, starting=True):
        raise error
    assert str(raised.value) == said


def named(name, message):
    return type(name, (Exception,), {})(message)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            named("KilledWorker", "…"),
            Unavailable,
            "workers died repeatedly on the same block, perhaps out of memory; nothing was written",
        ),
        (
            named("FutureCancelledError", "…"),
            Unavailable,
            "the cluster lost what it had computed (FutureCancelledError); nothing was written: run this again",
        ),
        (
            ZeroDivisionError("by\nzero"),
            Unavailable,
            "the cluster failed with ZeroDivisionError: by zero; nothing was written",
        ),
        (InputError("x holds 1e300"), InputError, "x holds 1e300"),
    ],
)
def test_what_a_run_on_a_cluster_fails_of_is_one_line(error, kind, said):
    with pytest.raises(kind) as raised, failures.translated():
        raise error
    assert str(raised.value) == said


@pytest.fixture
def watched(monkeypatch):
    """``watched.after(seconds)`` checks a cluster so much later, in a pass over 10 blocks."""
    now, shown, handlers = [100.0], [], {}
    monkeypatch.setattr(stored, "time", SimpleNamespace(monotonic=lambda: now[0]))
    client = SimpleNamespace(status="running", nthreads=lambda: {"tcp://one": 1}, subscribe_topic=handlers.setdefault)
    found = Stored(Lazy(Problem((10, 3)), {"x": SimpleNamespace(step=1, part=lambda *rows: None)}, {}), seed=0)
    monkeypatch.setattr(found, "statistics", lambda epsilon: Statistics(*np.ones((3, 3))))
    for name in ("normalize", "propagate"):
        monkeypatch.setattr(found, name, lambda *given: None)
    found.run("train", SimpleNamespace(client=client), None, lambda *progress: shown.append(progress))
    found.cuts, found.doing, found.pass_id, found.done = [slice(0, 1)] * 10, "y", "this", {}

    def after(seconds):
        now[0] += seconds
        found.check()

    return SimpleNamespace(client=client, after=after, shown=shown, hear=handlers[tasks.TOPIC])


def test_workers_that_stay_away_are_waited_for_and_then_given_up(watched):
    watched.after(1000)
    watched.client.nthreads = dict
    watched.after(stored.PATIENCE / 2)
    watched.after(stored.PATIENCE / 2)
    watched.client.nthreads = lambda: {"tcp://another": 1}
    watched.after(2)  # another has come
    watched.client.nthreads = dict
    watched.after(stored.PATIENCE)
    with pytest.raises(Unavailable, match=r"^there was no worker for 30 s; nothing was written: start one, and"):
        watched.after(2)


def test_a_scheduler_that_goes_away_is_noticed(watched):
    watched.client.status = "closed"
    with pytest.raises(Unavailable, match=r"^the scheduler has stopped; nothing was written: start it"):
        watched.after(0)


def test_the_progress_is_that_of_all_shares_even_where_one_is_repeated(watched):
    for done in (("this", 0, 3), ("another", 0, 4), ("this", 1, 5), ("this", 0, 0), ("this", 0, 9)):
        watched.hear((100.0, done))
        watched.after(0)
    assert [text for _, text in watched.shown] == [f"y: block {count} of 10" for count in (3, 3, 8, 5, 10)]


@pytest.mark.parametrize(
    ("module", "attempt", "said"),
    [
        (sessions, lambda path: session(Wanted(workers=1), "float32").__enter__(), "a cluster needs Dask: "),
        (outputs, lambda path: outputs.check(path / "y.zarr"), "--save to .zarr needs the package zarr: "),
    ],
)
def test_what_is_not_installed_is_named_with_the_extra(module, attempt, said, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=f"^{re.escape(said)}pip install 'bncli\\[cluster\\]'$"):
        attempt(tmp_path)


def test_the_memory_of_a_process_is_known_where_linux_does_not_tell(monkeypatch, tmp_path):
    linux = sessions.peak_memory()
    monkeypatch.setattr(sessions, "STATUS", tmp_path / "status")
    assert 1 << 20 < sessions.peak_memory() <= 2 * linux


@pytest.mark.parametrize("suffix", outputs.SUFFIXES)
def test_a_folder_that_a_worker_does_not_see_is_said(suffix, tmp_path):
    pytest.importorskip("zarr")
    problem = Problem((7, 3, 4), Layout.CHANNELS_FIRST, "float32")
    with outputs.opened(tmp_path / f"y{suffix}", "y", problem, [slice(0, 7)]) as output:
        output.path.rename(tmp_path / "away")
        with pytest.raises(Unavailable) as raised:
            output.write(slice(0, 7), X)
        (tmp_path / "away").rename(output.path)
    assert str(raised.value).startswith(f"--save cannot write in {str(tmp_path)!r} on host ")
    assert str(raised.value).endswith("; all workers must see this folder, and may write there")
