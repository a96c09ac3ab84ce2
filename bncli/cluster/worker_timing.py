"""The scaling with the number of workers: the rows of ``bncli bench --workers``."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

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
from bncli.cluster.session import session
from bncli.cluster.wanted import KERNEL, Wanted
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel, Prepared
from bncli.core.report import Column, Report
from bncli.core.rows.times import WARM, Figures, Judgement, WorkersRow
from bncli.kernels.dask.in_memory import InMemory
from bncli.kernels.dask.normalization import Statistics
from bncli.kernels.dask.runners import Workers
from bncli.loading.guard import quiet

Array = NDArray[Any]

PASSES = ("forward", "backward")
PASS = "PASS"  # the verdict
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


class Shares(NamedTuple):
    """Shares of the time of all workers: computing, transfers, and the rest, which is scheduling and waiting."""

    compute: float
    transfer: float
    scheduling: float


@dataclass(frozen=True)
class Cluster:
    """``workers`` with the batch in their memory: seconds that ``sending`` took, and calls of each pass."""

    workers: int
    client: Any
    sending: float
    verdict: str
    makes: Mapping[str, Make]


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
        rows += measure(case, kernels, counts, max_time)
    return Report("bench", columns(kernels[0]), rows, ("problem", "input"))


def measure(case: Case, kernels: Sequence[AnyKernel], counts: Sequence[int], max_time: float) -> list[WorkersRow]:
    """Time the kernel ``dask`` on clusters of ``counts`` workers of this machine; a row for each count and pass.

    Clusters and ``kernels[0]`` are timed in the same rounds; an isolated ``kernels[0]`` is timed before, in its own
    process. A cluster gets a time only if its results equal, bit by bit, those of the kernel ``dask`` without a
    cluster, which are verified elsewhere.
    """
    (own,) = (kernel for kernel in kernels if kernel.name == KERNEL)
    rows = []
    with ExitStack() as stack:
        expected = own.run(_results, case)
        clusters = [stack.enter_context(_cluster(case, expected, count)) for count in counts]
        for direction in PASSES:
            alone, *samples = _sampled(
                kernels[0], case, [each.makes[direction] for each in clusters], direction, max_time
            )
            for cluster, own_samples in zip(clusters, samples, strict=True):
                row = WorkersRow(
                    problem=str(case.problem),
                    input=case.recipe,
                    kernel=f"{KERNEL}, {cluster.workers} worker{'s' * (cluster.workers > 1)}",
                    direction=direction,
                    workers=cluster.workers,
                    judged=Judgement(verdict=cluster.verdict),
                    sending=cluster.sending,
                )
                if cluster.verdict == PASS:
                    speedup = statistics.speedup(samples[0], own_samples)
                    row = replace(
                        row,
                        figures=_figures(own_samples),
                        speedup=speedup,
                        efficiency=speedup * counts[0] / cluster.workers,
                        versus=statistics.median(alone) / statistics.median(own_samples),
                        **_observed(cluster, direction)._asdict(),
                    )
                rows.append(row)
    return rows


@contextmanager
def _cluster(case: Case, expected: Sequence[Array], count: int) -> Iterator[Cluster]:
    with session(Wanted(count), case.problem.dtype) as found, translated():
        start = time.perf_counter()
        batch = InMemory(Workers(found.client, case.problem.features), case.x, case.dy)
        sending = time.perf_counter() - start

        def forward() -> Statistics:
            return batch.forward(case.gamma, case.beta, case.problem.epsilon)

        def backward(there: Statistics) -> tuple[Array, Array]:
            return batch.backward(case.gamma, there, case.problem.samples)

        there = forward()
        results = batch.gathered(), *backward(there), batch.gathered()
        same = all(np.array_equal(*pair, equal_nan=True) for pair in zip(results, expected, strict=True))
        makes = {
            "forward": lambda: _ready(forward),
            "backward": lambda: _ready(partial(backward, forward())),  # a forward of its own
        }
        yield Cluster(count, found.client, sending, PASS if same else "WRONG", makes)


def _ready(call: Callable[[], Any]) -> Ready:
    return Ready(Prepared(call, lambda found: found))


def _results(kernel: Kernel, case: Case) -> tuple[Array, ...]:
    """y, dgamma, dbeta and dx; runs in the process of the kernel."""
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    dx, *parameters = kernel.backward(case.dy, saved)
    return y, *parameters, dx


def _sampled(
    kernel: AnyKernel, case: Case, makes: Sequence[Make], direction: str, max_time: float
) -> list[tuple[float, ...]]:
    """The samples of ``kernel`` and of each of ``makes``, in seconds; from the same rounds, unless isolated."""
    seconds = max_time / len(PASSES)
    if isinstance(kernel, Kernel):
        return _interleaved([make_of(direction, kernel, case), *makes], seconds)
    share = seconds / (1 + len(makes))
    return kernel.run(_alone, case, direction, share, longer=share) + _interleaved(makes, seconds - share)


def _alone(kernel: Kernel, case: Case, direction: str, seconds: float) -> list[tuple[float, ...]]:
    """Runs in the process of an isolated kernel."""
    return _interleaved([make_of(direction, kernel, case)], seconds)


def _interleaved(makes: Sequence[Make], seconds: float) -> list[tuple[float, ...]]:
    with quiet():
        timed = {number: Timed(makes=[make], warming=WARMING[WARM], batch=1) for number, make in enumerate(makes)}
        sampling = interleave(timed, Rule(seconds, precision=0))
    for error in sampling.failed.values():
        raise error
    if sampling.stopped is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return [sampling.sampled[number].samples for number in timed]


def _figures(samples: Sequence[float]) -> Figures:
    middle, spread = statistics.estimate(samples), statistics.spread(samples)
    return Figures(
        median=middle.value, low=middle.low, high=middle.high, spread=spread, rounds=len(samples), samples=list(samples)
    )


def _observed(cluster: Cluster, direction: str) -> Shares:
    """The shares of the time of ``OBSERVED`` more calls."""
    ready = [cluster.makes[direction]() for _ in range(OBSERVED)]
    with import_module("distributed").get_task_stream(cluster.client) as stream:
        start = time.perf_counter()
        for each in ready:
            each.run()
        seconds = time.perf_counter() - start
    return shares_of(stream.data, seconds * sum(cluster.client.nthreads().values()))


def shares_of(records: Iterable[Any], seconds: float) -> Shares:
    """The shares of ``seconds`` of all workers together, from the ``records`` of Dask's task stream."""
    spent: Counter[str] = Counter()
    for step in (step for record in records for step in record["startstops"]):
        spent[step["action"]] += (step["stop"] - step["start"]) / seconds
    compute, transfer = spent["compute"], spent["transfer"] + spent["deserialize"]
    return Shares(compute, transfer, max(0.0, 1 - compute - transfer))
