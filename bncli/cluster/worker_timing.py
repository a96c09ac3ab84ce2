"""What more workers are worth: the rows of ``bncli bench --workers``."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np

from bncli.benchmarking import statistics
from bncli.cluster.failures import told
from bncli.cluster.resident import Resident, send, spent
from bncli.cluster.session import KERNEL, Wanted, session
from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
from bncli.core.report import Column, Report
from bncli.loading.guard import quiet
from bncli.verification.finding_rows import Row

PASSES = ("forward", "backward")
LEAST = 5  # rounds
OBSERVED = 3  # calls whose every task is looked at, after those that are timed

Call = Callable[[], object]


def columns(baseline: Kernel) -> tuple[Column, ...]:
    """What a table shows of a kernel on workers, beside ``baseline`` in process."""
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


def report(
    cases: Iterable[Case],
    kernels: Sequence[Kernel],
    counts: Sequence[int],
    max_time: float,
    progress: Callable[[int, str], None] = lambda done, doing: None,
) -> Report:
    """``measure`` each of ``cases``; ``progress`` receives how many are done."""
    rows: list[Row] = []
    for number, case in enumerate(cases):
        progress(number, f"{case.problem}: timing on {' and '.join(map(str, counts))} workers")
        rows += measure(case, kernels, counts, None, max_time)
    return Report("bench", columns(kernels[0]), rows, ("problem", "input"))


def measure(
    case: Case, kernels: Sequence[Kernel], counts: Sequence[int], threads: int | None, max_time: float
) -> list[Row]:
    """Time the kernel ``dask`` on clusters of so many workers of this machine, in turns; a row a count and pass.

    ``kernels[0]``, in this process, takes its turn too. What a cluster computes has to be, bit by bit, what the
    kernel computes in this process, which is verified elsewhere; else it gets no time.
    """
    (own,) = (kernel for kernel in kernels if kernel.name == KERNEL)
    rows = []
    with ExitStack() as stack:
        teams = [stack.enter_context(_team(case, own, count, threads)) for count in counts]
        for direction in PASSES:
            with quiet():
                base = _call_here(kernels[0], case, direction)
                samples = _in_turns([base, *(team.calls[direction] for team in teams)], max_time / len(PASSES))
            rows += [_row(case, direction, teams, number, samples) for number in range(len(teams))]
    return rows


@contextmanager
def _team(case: Case, own: Kernel, count: int, threads: int | None) -> Iterator[Team]:
    y, saved = own.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    gradients = Gradients(*own.backward(case.dy, saved))
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


def _call_here(kernel: Kernel, case: Case, direction: str) -> Call:
    given = case.x, case.gamma, case.beta, case.problem.epsilon
    return (
        partial(kernel.forward, *given)
        if direction == "forward"
        else partial(kernel.backward, case.dy, kernel.forward(*given)[1])
    )


def _in_turns(calls: Sequence[Call], seconds: float) -> list[list[float]]:
    """Samples of each call, one after the other, round after round."""
    samples: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(samples[0]) < LEAST or time.perf_counter() < end:
        for call, own in zip(calls, samples, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return samples


def _row(case: Case, direction: str, teams: Sequence[Team], number: int, samples: Sequence[list[float]]) -> Row:
    """Of one of the ``teams``; ``samples`` are those of the kernel in this process, and then of each team."""
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
