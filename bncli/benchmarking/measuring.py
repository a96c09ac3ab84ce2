"""One problem of ``bncli bench``: verified, timed beside the memory's limit, and checked again."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import NamedTuple, Protocol

from bncli.benchmarking import buffers, conditions, figures, judging, threads, timing
from bncli.benchmarking.buffers import COLD, WARM, WARMING
from bncli.benchmarking.conditions import Surroundings
from bncli.benchmarking.entries import AGAIN, MEMORY, PASS, THE_CLOCK, THE_MEETING, Name
from bncli.benchmarking.figures import Measured, Outcome
from bncli.benchmarking.judging import Judged, Space
from bncli.benchmarking.passes import FRESH, GIVEN, TRAINING, Key
from bncli.benchmarking.sampling import Rule
from bncli.benchmarking.timing import Sampling, Timed
from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.loading.guard import guarded, quiet
from bncli.verification.finding import Finding
from bncli.verification.finding_rows import Row

# Of the longest call of a round: as long as a sample of each pass lasts, at least. What is short beside it then has
# steadier samples for little more time: on two virtual cores, beside numpy's 4 ms, the medians of nine runs of 250 us
# were within 8 % of each other, and those of single calls, measured in turns with them, within 10 %.
SHARE = 0.5


class Progress(Protocol):
    """Receives the share of a problem that is done, what is being done and, to be asked for it, how it stands."""

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str, /) -> None: ...


def unseen(share: float, doing: str, detail: Callable[[], str] = str, /) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class Settings:
    """What is timed, and for how long.

    ``directions`` are the passes; ``outputs`` are fresh, given or both, ``caches`` warm, cold or both.
    ``threads`` bound the kernels that can be bound, which are timed with each in the same rounds; None
    alone leaves them their own choice. ``precision`` and ``max_time``, seconds a problem, are ``Rule``'s.
    ``processes``, one after the other, share that time.
    """

    directions: Sequence[str] = TRAINING
    outputs: Sequence[str] = (FRESH,)
    max_time: float = 2.0
    precision: float = 0.01
    caches: Sequence[str] = (WARM,)
    threads: Sequence[int | None] = (None,)
    processes: int = 1


class Work(NamedTuple):
    """A problem, what is to be done with it, and the arrays for that."""

    case: Case
    kernels: Mapping[str, Kernel]
    settings: Settings
    spaces: Mapping[str, Space]


def measure(case: Case, kernels: Sequence[Kernel], settings: Settings, progress: Progress = unseen) -> list[Row]:
    """Verify every kernel, time those that are right, and the memory beside them; the rows of one problem.

    The first kernel is the baseline. A kernel that is wrong has no time, nor has a pass that has gone wrong since.
    Raises Unavailable where Numba compiles nothing.
    """
    return figures.rows(case, [sample(case, kernels, settings, progress)], kernels[0].name)


def sample(case: Case, kernels: Sequence[Kernel], settings: Settings, progress: Progress = unseen) -> Measured:
    """What ``measure`` makes rows of."""
    # Not before it is needed: Numba takes long to import.
    from bncli.benchmarking import roofline

    roofline.require_compiler()
    work = Work(case, {each.name: each for each in kernels}, settings, {c: _space(case, c) for c in settings.caches})
    with ExitStack() as stack:
        setters = [setter for kernel in kernels if (setter := guarded(kernel).set_threads)]
        stack.enter_context(threads.restored(setters, settings.threads[0]))
        judged = list(_judge(work, progress))
        wrong = {each.timed.key.kernel for each in judged if each.finding and not each.passed}
        right = {each.timed.key: each for each in judged if each.finding and each.timed.key.kernel not in wrong}
        if not right:
            return Measured([_outcome(case, each, each.finding) for each in judged])
        return _timed(work, judged, right, stack, progress)


def _space(case: Case, cache: str) -> Space:
    inputs = buffers.inputs_for(case, cache)
    count = len(inputs.copies) if cache == COLD else 1
    return Space(cache, inputs, [buffers.outputs_for(case) for _ in range(count)])


def _judge(work: Work, progress: Progress) -> Iterator[Judged]:
    for kernel in work.kernels.values():
        progress(0, f"{work.case.problem}: verifying {kernel.name}")
        set_threads = guarded(kernel).set_threads
        for count in work.settings.threads if set_threads else (None,):
            threads.binding(set_threads, count)()
            for outputs in work.settings.outputs:
                yield from judging.before(
                    kernel, work.case, list(work.spaces.values()), work.settings.directions, outputs, count
                )


def _timed(
    work: Work, judged: Sequence[Judged], right: Mapping[Key, Judged], stack: ExitStack, progress: Progress
) -> Measured:
    from bncli.benchmarking import clock, roofline

    stack.enter_context(threads.restored([roofline.set_threads], work.settings.threads[0]))
    baseline = next(iter(right)).kernel
    timed = {Name(PASS, key): _entry(work, each) for key, each in right.items()}
    timed |= {Name(AGAIN, name.key): entry for name, entry in timed.items() if name.key.kernel == baseline}
    timed |= _memory(work, {roofline.OPERATION[key.direction] for key in right})
    timed[THE_CLOCK] = Timed([partial(clock.chain, clock.chain(1))])
    bind = threads.binding(roofline.set_threads, work.settings.threads[0])
    timed[THE_MEETING] = Timed([roofline.meeting()], bind, WARMING[WARM])

    sampling, surroundings = _sample(work, timed, progress)
    spoilt = {cache for cache, space in work.spaces.items() if space.inputs.are_spoilt()}
    lost = {key: _lost(work, each, sampling, spoilt) for key, each in right.items()}
    outcomes = [
        _outcome(work.case, each, each.finding)
        if each.timed.key not in right
        else _outcome(work.case, each, finding, "loses its time")
        if (finding := lost[each.timed.key])
        else _outcome(work.case, each, each.finding, kept=True)
        for each in judged
    ]
    return Measured(outcomes, sampling._replace(failed={}), surroundings)


def _outcome(
    case: Case, judged: Judged, finding: Finding | None, loss: str = "is not timed", kept: bool = False
) -> Outcome:
    timed = judged.timed
    return Outcome(timed.key, len(timed.calls), figures.untimed(case, timed, finding, loss), kept)


def _entry(work: Work, judged: Judged) -> Timed:
    key, calls = judged.timed.key, judged.timed.calls
    return Timed(
        calls,
        prepare=threads.binding(work.kernels[key.kernel].set_threads, key.threads),
        warming=WARMING[key.cache],
        keep=len(calls) if key.cache == COLD else 0,
        share=SHARE,
    )


def _memory(work: Work, operations: Collection[str]) -> dict[Name, Timed]:
    from bncli.benchmarking import roofline

    found = {}
    for space in work.spaces.values():
        outs = cycle(outputs.y for outputs in space.outputs)
        moves = roofline.calls((copy.x, copy.dy, next(outs)) for copy in space.inputs.copies)
        for (operation, way), calls in moves.items():
            for count in work.settings.threads if operation in operations else ():
                key = Key(operation, way, GIVEN, space.cache, count)
                found[Name(MEMORY, key)] = Timed(
                    calls, threads.binding(roofline.set_threads, count), WARMING[space.cache]
                )
    return found


def _sample(work: Work, timed: Mapping[Name, Timed], progress: Progress) -> tuple[Sampling[Name], Surroundings]:
    def change() -> None:
        for space in work.spaces.values():
            space.inputs.change()

    def tell(share: float, so_far: timing.Samples[Name]) -> None:
        progress(share, doing, partial(figures.estimates, so_far))

    doing = f"timing {str(work.case.problem).partition('/')[0]}"
    progress(0, doing)
    rule = Rule(work.settings.max_time, work.settings.precision)
    before = conditions.read()
    with quiet():
        sampling = timing.interleave(timed, rule, between=change, on_progress=tell)
    surroundings = conditions.between(before, conditions.read())
    for space in work.spaces.values():
        space.inputs.restore()
    return sampling, surroundings


def _lost(work: Work, judged: Judged, sampling: Sampling[Name], spoilt: Collection[str]) -> Finding | None:
    """Why a pass loses its time though it was right before, if it does."""
    key = judged.timed.key
    kernel = work.kernels[key.kernel]
    if error := sampling.failed.get(Name(PASS, key)) or sampling.failed.get(Name(AGAIN, key)):
        return judging.raised(kernel, error)
    if key.cache in spoilt:
        return judging.overwritten(kernel)
    threads.binding(kernel.set_threads, key.threads)()
    return judging.after(judged, kernel, work.spaces[key.cache], sampling.sampled[Name(PASS, key)].calls)
