"""The scaling with the number of workers: the rows of ``bncli bench --workers``."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking import statistics
from bncli.benchmarking.buffers import WARMING
from bncli.benchmarking.passes import make_of
from bncli.benchmarking.ready import Make, Ready
from bncli.benchmarking.rotation import Timed
from bncli.benchmarking.sampling import Rule, Stop
from bncli.benchmarking.timing import interleave
from bncli.cluster.failures import translated
from bncli.cluster.resident import Resident, Shares, shares_of
from bncli.cluster.session import session
from bncli.cluster.wanted import KERNEL, Wanted
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Gradients, Kernel, Prepared
from bncli.core.report import Column, Report
from bncli.core.rows.times import WARM, Figures, Judgement, WorkersRow
from bncli.loading.guard import quiet

Array = NDArray[Any]

PASSES = ("forward", "backward")
OBSERVED = 3  # calls after the timed ones, whose tasks are recorded


def columns(baseline: AnyKernel) -> tuple[Column, ...]:
    """The columns of the table; ``versus`` is relative to the kernel ``baseline``."""
    return (
        Column("workers", "workers", "count"),
        Column("direction", "pass"),
        Column("verdict", "bits", "verdict"),
        Column("median", "median", "seconds"),
        Column("spread", "±", "percent", wide=True),
        Column("speedup", "speed-up", "times"),
        Column("efficiency", "effic.", "percent"),
        Column("compute", "compute", "percent"),
        Column("transfer", "transfer", "percent"),
        Column("scheduling", "rest", "percent"),
        Column("versus", f"vs {baseline.name}", "times"),
        Column("sending", "send x, dy", "seconds", wide=True),
        Column("rounds", "samples", "count", wide=True),
    )


@dataclass(frozen=True)
class Cluster:
    """A cluster of ``workers`` with the batch in their memory; ``sending`` is the seconds that sending it took."""

    workers: int
    batch: Resident
    sending: float
    verdict: str
    makes: dict[str, Make]


def report(
    cases: Iterable[Case],
    kernels: Sequence[AnyKernel],
    counts: Sequence[int],
    max_time: float,
    progress: Callable[[int, str], None] = lambda done, doing: None,
) -> Report:
    """``measure`` each of ``cases``; ``progress`` receives how many are done."""
    rows: list[WorkersRow] = []
    for number, case in enumerate(cases):
        progress(number, f"{case.problem}: timing on {' and '.join(map(str, counts))} workers")
        rows += measure(case, kernels, counts, None, max_time)
    return Report("bench", columns(kernels[0]), rows, ("problem", "input"))


def measure(
    case: Case, kernels: Sequence[AnyKernel], counts: Sequence[int], threads: int | None, max_time: float
) -> list[WorkersRow]:
    """Time the kernel ``dask`` on clusters of ``counts`` workers of this machine; a row for each count and pass.

    Clusters and ``kernels[0]`` are timed in the same rounds; an isolated ``kernels[0]`` is timed before, in its own
    process. A cluster gets a time only if its results equal, bit by bit, those of the kernel ``dask`` without a
    cluster, which are verified elsewhere.
    """
    (own,) = (kernel for kernel in kernels if kernel.name == KERNEL)
    rows = []
    with ExitStack() as stack:
        expected = own.run(_results, case)
        clusters = [stack.enter_context(_cluster(case, expected, count, threads)) for count in counts]
        for direction in PASSES:
            samples = _sampled(kernels[0], case, clusters, direction, max_time / len(PASSES))
            rows += [_row(case, direction, clusters, number, samples) for number in range(len(clusters))]
    return rows


@contextmanager
def _cluster(case: Case, expected: tuple[Array, Gradients], count: int, threads: int | None) -> Iterator[Cluster]:
    y, gradients = expected
    with session(Wanted(count, threads=threads), case.problem.dtype) as found, translated(None):
        start = time.perf_counter()
        batch = Resident(found.client, case)
        sending = time.perf_counter() - start
        there = batch.forward()
        same = np.array_equal(y, batch.gathered(), equal_nan=True)
        parameters = batch.backward(there)
        for here, other in zip(gradients, (batch.gathered(), *parameters), strict=True):
            same = same and np.array_equal(here, other, equal_nan=True)
        makes = {"forward": lambda: _ready(batch.forward), "backward": lambda: _backward(batch)}
        yield Cluster(count, batch, sending, "PASS" if same else "WRONG", makes)


def _backward(batch: Resident) -> Ready:
    """A backward after a forward of its own."""
    found = batch.forward()
    return _ready(lambda: batch.backward(found))


def _ready(call: Callable[[], Any]) -> Ready:
    return Ready(Prepared(call, lambda found: found))


def _results(kernel: Kernel, case: Case) -> tuple[Array, Gradients]:
    """y and the gradients; runs in the process of the kernel."""
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return y, Gradients(*kernel.backward(case.dy, saved))


def _sampled(
    kernel: AnyKernel, case: Case, clusters: Sequence[Cluster], direction: str, seconds: float
) -> list[tuple[float, ...]]:
    """The samples of ``kernel`` and of each of the ``clusters``, in seconds; from the same rounds, unless isolated."""
    makes = [cluster.makes[direction] for cluster in clusters]
    if isinstance(kernel, Kernel):
        with quiet():
            return _interleaved([make_of(direction, kernel, case), *makes], seconds)
    share = seconds / (1 + len(makes))
    return [kernel.run(_sampled_there, case, direction, share, longer=share), *_interleaved(makes, seconds - share)]


def _sampled_there(kernel: Kernel, case: Case, direction: str, seconds: float) -> tuple[float, ...]:
    """Runs in the process of an isolated kernel."""
    (samples,) = _interleaved([make_of(direction, kernel, case)], seconds)
    return samples


def _interleaved(makes: Sequence[Make], seconds: float) -> list[tuple[float, ...]]:
    timed = {number: Timed(makes=[make], warming=WARMING[WARM], batch=1) for number, make in enumerate(makes)}
    with quiet():
        sampling = interleave(timed, Rule(seconds, precision=0))
    for error in sampling.failed.values():
        raise error
    if sampling.stopped is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return [sampling.sampled[number].samples for number in timed]


def _row(
    case: Case, direction: str, clusters: Sequence[Cluster], number: int, samples: Sequence[Sequence[float]]
) -> WorkersRow:
    """The row of one of the ``clusters``; ``samples`` are those of the first kernel and of each cluster."""
    cluster, alone, first, own = clusters[number], samples[0], samples[1], samples[1 + number]
    row = WorkersRow(
        problem=str(case.problem),
        input=case.recipe,
        kernel=f"{KERNEL}, {cluster.workers} worker{'s' * (cluster.workers > 1)}",
        direction=direction,
        workers=cluster.workers,
        judged=Judgement(verdict=cluster.verdict),
        sending=cluster.sending,
    )
    if cluster.verdict != "PASS":
        return row
    speedup, middle = statistics.speedup(first, own), statistics.estimate(own)
    figures = Figures(
        median=middle.value,
        low=middle.low,
        high=middle.high,
        spread=statistics.spread(own),
        rounds=len(own),
        samples=list(own),
    )
    shares = _observed(cluster, direction)
    return replace(
        row,
        figures=figures,
        speedup=speedup,
        efficiency=speedup * clusters[0].workers / cluster.workers,
        versus=statistics.median(alone) / middle.value,
        compute=shares.compute,
        transfer=shares.transfer,
        scheduling=shares.scheduling,
    )


def _observed(cluster: Cluster, direction: str) -> Shares:
    """The shares of the time of ``OBSERVED`` more calls."""
    ready = [cluster.makes[direction]() for _ in range(OBSERVED)]
    with import_module("distributed").get_task_stream(cluster.batch.client) as stream:
        start = time.perf_counter()
        for each in ready:
            each.run()
        seconds = time.perf_counter() - start
    return shares_of(stream.data, seconds, sum(cluster.batch.client.nthreads().values()))
