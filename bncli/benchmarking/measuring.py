"""Measure one problem in this process: verify every kernel, time the right ones, and check these again."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle, product
from typing import NamedTuple, TypeVar, TypeVarTuple

from bncli.benchmarking import buffers, conditions, figures, judging, left_running, pool, rechecks, threads, timing
from bncli.benchmarking.buffers import COLD, WARMING, Inputs
from bncli.benchmarking.conditions import Surroundings
from bncli.benchmarking.entries import CLOCK, FORK_JOIN, Entry, MemoryEntry, PassEntry
from bncli.benchmarking.figures import Measured, Outcome, Rounds
from bncli.benchmarking.judging import Judged, Space
from bncli.benchmarking.passes import STEP, TRAINING, PassKey, make_of
from bncli.benchmarking.ready import Make, Ready
from bncli.benchmarking.rotation import Timed
from bncli.benchmarking.sampling import Rule, Stop
from bncli.benchmarking.settings import Gate, Progress, Settings, silent
from bncli.benchmarking.timing import Sampled, Sampling
from bncli.core.case import Case
from bncli.core.kernel import BACKWARD, Device, Kernel
from bncli.core.rows.times import WARM, LeftRunning
from bncli.errors import KernelFault
from bncli.loading.guard import guarded, quiet
from bncli.verification.finding import Finding

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

# A sample of each pass lasts at least this share of the longest call of a round. A short call then has steadier samples
# for little more time: on two virtual cores, in rounds with numpy's 4 ms, the medians of nine runs of samples of 250 us
# were within 8 % of each other; those of single calls, measured in the same rounds, within 10 %.
SHARE = 0.5


class Work(NamedTuple):
    """A problem, the kernels and settings to measure it with, and its arrays for each state of the caches.

    ``pools`` are the sizes of the pools of forwards for each state, ``left`` is what each kernel's forward leaves
    running.
    """

    case: Case
    kernels: Mapping[str, Kernel]
    settings: Settings
    spaces: Mapping[str, Space]
    pools: Mapping[str, int]
    left: Mapping[str, LeftRunning | None]


def measure(case: Case, kernels: Sequence[Kernel], settings: Settings, progress: Progress = silent) -> Measured:
    """Verify every kernel, and time the right ones and the memory roofline in the same rounds.

    The first kernel is the baseline. A wrong kernel has no time; a pass that fails the check afterwards loses its time.
    Raises Unavailable if Numba's compiler is disabled.
    """
    # Imported here: Numba takes long to import.
    from bncli.benchmarking import roofline

    roofline.require_compiler()
    spaces = {cache: _space(case, cache, settings) for cache in settings.caches}
    work = Work(case, {each.name: each for each in kernels}, settings, spaces, {}, {})
    with ExitStack() as stack:
        setters = [setter for kernel in kernels if (setter := guarded(kernel).set_threads)]
        stack.enter_context(threads.restored(setters, settings.threads[0]))
        judged = list(_verify(work, progress))
        wrong = {each.timed.key.kernel for each in judged if each.finding and not each.passed}
        right = {each.timed.key: each for each in judged if each.finding and each.timed.key.kernel not in wrong}
        if not right:
            return Measured([_untimed(case, each) for each in judged])
        stack.enter_context(threads.restored([roofline.set_threads], settings.threads[0]))
        with quiet():
            work = work._replace(pools=_pools(work, right), left=_left(work, right))
        sampling, surroundings = _sample(work, _plan(work, right), progress)
        progress(1.0, f"{case.problem}: verifying again")
        corrupted = {cache for cache, space in work.spaces.items() if space.inputs.are_corrupted()}
        outcomes = [
            _checked(work, each, sampling, corrupted) if each.timed.key in right else _untimed(case, each)
            for each in judged
        ]
        return Measured(outcomes, sampling._replace(failed={}), surroundings)


def pool_of(kernel: Kernel, case: Case, settings: Settings) -> int | None:
    """The size of the pool of forwards for ``kernel`` alone, with warm caches; None if it has none."""
    copies = buffers.inputs_for(case).copies
    if BACKWARD in kernel.absent:
        return None
    try:
        with quiet():
            return pool.size([make_of(BACKWARD, guarded(kernel), copy) for copy in copies], case)
    except KernelFault:  # it loses its time when it is verified
        return None


def _space(case: Case, cache: str, settings: Settings) -> Space:
    inputs = buffers.inputs_for(case, cache)
    count = len(inputs.copies) if cache == COLD else 1
    return Space(cache, inputs, [buffers.outputs_for(case, STEP in settings.directions) for _ in range(count)])


def _verify(work: Work, progress: Progress) -> Iterator[Judged]:
    for kernel in work.kernels.values():
        progress(0, f"{work.case.problem}: verifying {kernel.name}")
        set_threads = guarded(kernel).set_threads
        for count in work.settings.threads if set_threads else (None,):
            threads.binding(set_threads, count)()
            for outputs in work.settings.outputs:
                yield from judging.before(
                    kernel, work.case, list(work.spaces.values()), work.settings.directions, outputs, count
                )


def _pools(work: Work, right: Mapping[PassKey, Judged]) -> dict[str, int]:
    """The size of the pool of forwards for each state of the caches, the same for all kernels."""
    found = {}
    for cache, space in work.spaces.items():
        makes = [each.timed.makes for key, each in right.items() if (key.direction, key.cache) == (BACKWARD, cache)]
        if cache == COLD:
            pool.require_memory(sum(_tried(pool.needed, each) or 0 for each in makes), work.case)
            found[cache] = len(space.inputs.copies)
        else:
            sizes = [size for each in makes if (size := _tried(pool.size, each, work.case))]
            found[cache] = min([*sizes, work.settings.pool or buffers.MOST_WARM])
    return found


def _tried(function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result | None:
    """What ``function`` returns; None if the kernel raises, which loses its time when it is timed."""
    try:
        return function(*arguments)
    except (Exception, SystemExit):  # noqa: BLE001, a kernel may raise anything
        return None


def _left(work: Work, right: Mapping[PassKey, Judged]) -> dict[str, LeftRunning | None]:
    """What the forward of each kernel leaves running."""
    trained = dict.fromkeys(key.kernel for key in right if key.direction in {*TRAINING, STEP})
    inputs, max_time = next(iter(work.spaces.values())).inputs, work.settings.max_time
    tries = 1 if inputs.large else left_running.TRIES
    return {
        name: _tried(left_running.measure, make_of(BACKWARD, kernel, inputs.copies[0]), max_time, len(trained), tries)
        for name in trained
        if BACKWARD not in (kernel := work.kernels[name]).absent
    }


def _plan(work: Work, right: Mapping[PassKey, Judged]) -> dict[Entry, Timed]:
    """The entries of each round: the passes, the baseline's passes again, the memory rooflines and the probes."""
    from bncli.benchmarking import clock, roofline

    baseline = next(iter(right)).kernel
    passes: dict[Entry, Timed] = {PassEntry(key): _timed(work, each) for key, each in right.items()}
    again: dict[Entry, Timed] = {
        PassEntry(key, again=True): passes[PassEntry(key)] for key in right if key.kernel == baseline
    }
    bind = threads.binding(roofline.set_threads, work.settings.threads[0])
    probes: dict[Entry, Timed] = {
        CLOCK: Timed([partial(clock.chain, clock.chain(1))]),
        FORK_JOIN: Timed([roofline.fork_join()], bind, WARMING[WARM]),
    }
    needed = {(operation, key.device) for key in right for operation in roofline.OPERATIONS[key.direction]}
    return passes | again | _memory(work, needed) | probes


def _timed(work: Work, judged: Judged) -> Timed:
    key, makes = judged.timed.key, judged.timed.makes
    inputs, cold = work.spaces[key.cache].inputs, key.cache == COLD
    return Timed(
        makes=[partial(_on_other_contents, inputs, number, make, cold) for number, make in enumerate(makes)],
        prepare=threads.binding(work.kernels[key.kernel].set_threads, key.threads),
        warming=WARMING[key.cache],
        keep=len(makes) if cold else 0,
        share=SHARE,
        batch=work.pools[key.cache] if key.direction == BACKWARD else len(makes),
        ahead=cold,
    )


def _on_other_contents(inputs: Inputs, number: int, make: Make, cold: bool) -> Ready:
    """A call that is ready, on contents that no call has had before. With cold caches, y has been dropped by then."""
    inputs.alter(number)
    ready = make()
    return ready._replace(kept=None) if cold else ready


def _memory(work: Work, needed: Collection[tuple[str, Device | None]]) -> dict[Entry, Timed]:
    """The memory rooflines of the ``needed`` operations, each on the CPU, None, or on another device."""
    from bncli.benchmarking import roofline

    found: dict[Entry, Timed] = {}
    for space, device in product(work.spaces.values(), dict.fromkeys(device for _, device in needed)):
        outs = cycle(outputs.y for outputs in space.outputs)
        moves = roofline.calls(((copy.x, copy.dy, next(outs)) for copy in space.inputs.copies), device)
        for (operation, variant), calls in moves.items():
            for count in (
                (work.settings.threads if device is None else (None,)) if (operation, device) in needed else ()
            ):
                bind = threads.binding(roofline.set_threads, count)
                entry = MemoryEntry(operation, variant, space.cache, count, device)
                found[entry] = Timed(calls, bind, WARMING[space.cache])
    return found


def _sample(work: Work, timed: Mapping[Entry, Timed], progress: Progress) -> tuple[Sampling[Entry], Surroundings]:
    def report(share: float, so_far: timing.Samples[Entry]) -> None:
        progress(share, doing, partial(figures.estimates, so_far))

    doing = f"timing {str(work.case.problem).partition('/')[0]}"
    progress(0, doing)
    rule = Rule(work.settings.max_time, work.settings.precision)
    if gate := work.settings.gate:
        rule = rule._replace(gate_time=work.settings.gate_time, undecided=partial(_undecided, work, gate))
    before = conditions.read()
    with quiet():
        sampling = timing.interleave(timed, rule, on_progress=report)
    surroundings = conditions.between(before, conditions.read())
    for space in work.spaces.values():
        space.inputs.restore()
    return sampling, surroundings


def _undecided(work: Work, gate: Gate, samples: Mapping[Entry, Sequence[float]]) -> set[Entry]:
    """The entries that the ``gate`` needs more samples of."""
    sampled = {entry: Sampled(1, tuple(each)) for entry, each in samples.items()}
    part = Sampling(sampled, Stop.TIME, {})
    return gate.undecided(Rounds(work.case, [part], conditions.UNKNOWN, next(iter(work.kernels))))


def _untimed(case: Case, judged: Judged) -> Outcome:
    timed = judged.timed
    return Outcome(timed.key, len(timed.makes), figures.untimed(case, timed, judged.finding), kept=False)


def _checked(work: Work, judged: Judged, sampling: Sampling[Entry], corrupted: Collection[str]) -> Outcome:
    """The outcome of a timed pass, which loses its time if a check after timing fails."""
    timed, fault = judged.timed, _fault_since(work, judged, sampling, corrupted)
    key = timed.key
    return Outcome(
        key,
        len(timed.makes),
        figures.untimed(work.case, timed, fault or judged.finding, lost=True),
        kept=fault is None,
        pool=work.pools[key.cache] if key.direction == BACKWARD else None,
        left=work.left.get(key.kernel) if key.direction in {*TRAINING, STEP} else None,
    )


def _fault_since(work: Work, judged: Judged, sampling: Sampling[Entry], corrupted: Collection[str]) -> Finding | None:
    key = judged.timed.key
    kernel = work.kernels[key.kernel]
    if error := sampling.failed.get(PassEntry(key)) or sampling.failed.get(PassEntry(key, again=True)):
        return judging.raised(kernel, error)
    if key.cache in corrupted:
        return judging.overwritten(kernel)
    threads.binding(kernel.set_threads, key.threads)()
    return rechecks.after(judged, kernel, work.spaces[key.cache], sampling.sampled[PassEntry(key)].calls)
