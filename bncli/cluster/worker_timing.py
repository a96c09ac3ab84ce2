"""What more workers are worth: the rows of ``bncli bench --workers``."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking import statistics
from bncli.cluster.failures import told
from bncli.cluster.resident import Resident, send, spent
from bncli.cluster.session import Wanted, session
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Gradients, Kernel
from bncli.core.report import Column
from bncli.loading.guard import quiet

Array = NDArray[Any]

KERNEL = "dask"
PASSES = ("forward", "backward")
LEAST = 5  # rounds
OBSERVED = 3  # calls whose every task is looked at, after those that are timed

Row = dict[str, Any]
Call = Callable[[], object]
Stopwatch = Callable[[], float]  # makes one call; returns its seconds


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
class Team:
    """``workers`` with the batch in their memory, and the seconds that sending it took."""

    workers: int
    batch: Resident
    sending: float
    verdict: str
    calls: dict[str, Call]


def measure(
    case: Case, kernels: Sequence[AnyKernel], counts: Sequence[int], threads: int | None, max_time: float
) -> list[Row]:
    """Time the kernel ``dask`` on clusters of so many workers of this machine, in turns; a row a count and pass.

    ``kernels[0]`` takes its turn too: in this process or, isolated, in its own. What a cluster computes has to be,
    bit by bit, what the kernel ``dask`` computes without one, which is verified elsewhere; else it gets no time.
    """
    (own,) = (kernel for kernel in kernels if kernel.name == KERNEL)
    rows = []
    with ExitStack() as stack:
        expected = own.run(_results, case)  # before a cluster is there, which the kernel would run on
        teams = [stack.enter_context(_team(case, expected, count, threads)) for count in counts]
        for direction in PASSES:
            with quiet():
                base = _stopwatch(kernels[0], case, direction)
                clusters = (partial(_seconds, team.calls[direction]) for team in teams)
                samples = _in_turns([base, *clusters], max_time / len(PASSES))
            rows += [_row(case, direction, teams, number, samples) for number in range(len(teams))]
    return rows


@contextmanager
def _team(case: Case, expected: tuple[Array, Gradients], count: int, threads: int | None) -> Iterator[Team]:
    y, gradients = expected
    with session(Wanted(count, threads=threads), case.problem.dtype) as found, told(None):
        start = time.perf_counter()
        batch = send(found.client, case)
        sending = time.perf_counter() - start
        there, statistics_there = batch.forward()
        dx, dgamma, dbeta = batch.backward(statistics_there)
        pairs = [(y, batch.gathered(there)), (gradients.dx, batch.gathered(dx))]
        pairs += [(gradients.dgamma, dgamma), (gradients.dbeta, dbeta)]
        same = all(np.array_equal(here, other, equal_nan=True) for here, other in pairs)
        del there, dx, pairs  # the workers keep what somebody holds
        calls: dict[str, Call] = {"forward": batch.forward, "backward": partial(batch.backward, statistics_there)}
        yield Team(count, batch, sending, "PASS" if same else "WRONG", calls)


def _results(kernel: Kernel, case: Case) -> tuple[Array, Gradients]:
    """y and the gradients; runs where the kernel does."""
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return y, Gradients(*kernel.backward(case.dy, saved))


def _stopwatch(kernel: AnyKernel, case: Case, direction: str) -> Stopwatch:
    if isinstance(kernel, Kernel):
        return partial(_seconds, _call_here(kernel, case, direction))
    # A process keeps nothing between two jobs: each sends the case again, which is not timed.
    return partial(kernel.run, _seconds_there, case, direction)


def _seconds_there(kernel: Kernel, case: Case, direction: str) -> float:
    """Runs in the kernel's process."""
    return _seconds(_call_here(kernel, case, direction))


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _call_here(kernel: Kernel, case: Case, direction: str) -> Call:
    given = case.x, case.gamma, case.beta, case.problem.epsilon
    return (
        partial(kernel.forward, *given)
        if direction == "forward"
        else partial(kernel.backward, case.dy, kernel.forward(*given)[1])
    )


def _in_turns(stopwatches: Sequence[Stopwatch], seconds: float) -> list[list[float]]:
    """Samples of each call, one after the other, round after round."""
    samples: list[list[float]] = [[] for _ in stopwatches]
    end = time.perf_counter() + seconds
    while len(samples[0]) < LEAST or time.perf_counter() < end:
        for stopwatch, own in zip(stopwatches, samples, strict=True):
            own.append(stopwatch())
    return samples


def _row(case: Case, direction: str, teams: Sequence[Team], number: int, samples: Sequence[list[float]]) -> Row:
    """Of one of the ``teams``; ``samples`` are those of the first kernel, and then of each team."""
    team, alone, first, own = teams[number], samples[0], samples[1], samples[1 + number]
    name = f"{KERNEL}, {team.workers} worker{'s' * (team.workers > 1)}"
    common = {
        "problem": str(case.problem), "input": case.recipe, "kernel": name, "workers": team.workers,
        "direction": direction, "verdict": team.verdict, "sending": team.sending,
    }  # fmt: skip
    if team.verdict != "PASS":
        return common
    speedup, middle = statistics.speedup(first, own), statistics.estimate(own)
    return common | {
        "median": middle.value,
        "low": middle.low,
        "high": middle.high,
        "spread": statistics.spread(own),
        "rounds": len(own),
        "samples": own,
        "speedup": speedup,
        "efficiency": speedup * teams[0].workers / team.workers,
        "versus": statistics.speedup(alone, own),
        **_observed(team, direction),
    }


def _observed(team: Team, direction: str) -> Row:
    """Where the time of some more calls goes."""
    with import_module("distributed").get_task_stream(team.batch.client) as stream:
        start = time.perf_counter()
        for _ in range(OBSERVED):
            team.calls[direction]()
        seconds = time.perf_counter() - start
    shares = spent(stream.data, seconds, sum(team.batch.client.nthreads().values()))
    return {"compute": shares.compute, "transfer": shares.transfer, "scheduling": shares.scheduling}
