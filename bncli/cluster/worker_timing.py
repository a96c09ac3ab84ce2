"""The scaling with the number of workers: the rows of ``bncli bench --workers``."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking import statistics
from bncli.benchmarking.buffers import WARMING
from bncli.benchmarking.passes import make_of
from bncli.benchmarking.rotation import Timed
from bncli.benchmarking.sampling import Rule, Stop
from bncli.benchmarking.timing import interleave
from bncli.cluster.failures import translated
from bncli.cluster.session import session
from bncli.cluster.wanted import KERNEL, Wanted
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.core.report import Column, Report
from bncli.core.rows.times import WARM, Figures, Judgement, WorkersRow
from bncli.kernels.dask.normalization import InMemory
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


class OnWorkers(NamedTuple):
    """A kernel that runs on the workers of ``client``, on the batch in their memory; and its row, without figures."""

    kernel: Kernel
    client: Any
    row: WorkersRow


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
    (by_blocks,) = (kernel for kernel in kernels if kernel.name == KERNEL)
    rows = []
    with ExitStack() as stack:
        expected = by_blocks.run(_results, case)
        clusters = [stack.enter_context(_on_workers(case, expected, count)) for count in counts]
        for direction in PASSES:
            samples = _sampled(kernels[0], clusters, case, direction, max_time / len(PASSES))
            for cluster, own in zip(clusters, samples[1:], strict=True):
                row = replace(cluster.row, direction=direction)
                if row.judged.verdict == PASS:
                    speedup = statistics.speedup(samples[1], own)
                    row = replace(
                        row,
                        figures=_figures(own),
                        speedup=speedup,
                        efficiency=speedup * counts[0] / row.workers,
                        versus=statistics.median(samples[0]) / statistics.median(own),
                        **_observed(cluster, case, direction),
                    )
                rows.append(row)
    return rows


@contextmanager
def _on_workers(case: Case, expected: Sequence[Array], count: int) -> Iterator[OnWorkers]:
    with session(Wanted(count), case.problem.dtype) as found, translated():
        start = time.perf_counter()
        batch = InMemory(Workers(found.client, case.problem.features), case.x, case.dy)
        sending = time.perf_counter() - start

        def forward(*given: Any, **options: Any) -> tuple[Any, Any]:
            return None, batch.forward(case.gamma, case.beta, case.problem.epsilon)

        def backward(dy: Any, saved: Any, **options: Any) -> Any:
            return batch.backward(case.gamma, saved, case.problem.samples)

        _, saved = forward()
        results = batch.gathered(), *backward(case.dy, saved), batch.gathered()
        same = all(np.array_equal(*pair, equal_nan=True) for pair in zip(results, expected, strict=True))
        name = f"{KERNEL}, {count} worker{'s' * (count > 1)}"
        judged = Judgement(verdict=PASS if same else "WRONG")
        row = WorkersRow(
            problem=str(case.problem), input=case.recipe, kernel=name, direction="", workers=count, judged=judged,
            sending=sending,
        )  # fmt: skip
        yield OnWorkers(Kernel(forward, backward, summary=name), found.client, row)


def _results(kernel: Kernel, case: Case) -> tuple[Array, ...]:
    """y, dgamma, dbeta and dx; runs in the process of the kernel."""
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    dx, *parameters = kernel.backward(case.dy, saved)
    return y, *parameters, dx


def _sampled(
    kernel: AnyKernel, clusters: Sequence[OnWorkers], case: Case, direction: str, seconds: float
) -> list[tuple[float, ...]]:
    """The samples of ``kernel`` and of each of ``clusters``, in seconds; from the same rounds, unless isolated."""
    on_workers = [each.kernel for each in clusters]
    if isinstance(kernel, Kernel):
        return _interleaved(kernel, on_workers, case, direction, seconds)
    share = seconds / (1 + len(on_workers))
    alone = kernel.run(_interleaved, [], case, direction, share, longer=share)
    return alone + _interleaved(on_workers[0], on_workers[1:], case, direction, seconds - share)


def _interleaved(
    kernel: Kernel, others: Sequence[Kernel], case: Case, direction: str, seconds: float
) -> list[tuple[float, ...]]:
    """May run in the process of an isolated kernel."""
    with quiet():
        makes = [make_of(direction, each, case) for each in (kernel, *others)]
        timed = {number: Timed(makes=[make], warming=WARMING[WARM], batch=1) for number, make in enumerate(makes)}
        sampling = interleave(timed, Rule(seconds, precision=0))
    for error in sampling.failed.values():
        raise error
    if sampling.stopped is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return [sampling.sampled[number].samples for number in timed]


def _figures(own: Sequence[float]) -> Figures:
    middle, spread = statistics.estimate(own), statistics.spread(own)
    figures = Figures(median=middle.value, low=middle.low, high=middle.high, spread=spread, rounds=len(own))
    return replace(figures, samples=list(own))


def _observed(cluster: OnWorkers, case: Case, direction: str) -> dict[str, Any]:
    """The shares of the time of ``OBSERVED`` more calls."""
    ready = [make_of(direction, cluster.kernel, case)() for _ in range(OBSERVED)]
    with import_module("distributed").get_task_stream(cluster.client) as stream:
        start = time.perf_counter()
        for each in ready:
            each.run()
        seconds = time.perf_counter() - start
    return shares_of(stream.data, seconds * sum(cluster.client.nthreads().values()))


def shares_of(records: Iterable[Any], seconds: float) -> dict[str, float]:
    """The shares of ``seconds`` of all workers together, from the ``records`` of Dask's task stream.

    What is neither computing nor transfers is scheduling and waiting.
    """
    spent: Counter[str] = Counter()
    for step in (step for record in records for step in record["startstops"]):
        spent[step["action"]] += (step["stop"] - step["start"]) / seconds
    compute, transfer = spent["compute"], spent["transfer"] + spent["deserialize"]
    return {"compute": compute, "transfer": transfer, "scheduling": max(0.0, 1 - compute - transfer)}
