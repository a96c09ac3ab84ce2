"""What a forward leaves running after it has returned: threads that go on with its work, or wait for more.

No time of forward or backward includes the work of such threads, and they slow down what is timed next. OpenMP's
threads wait actively for some milliseconds after every parallel call, which gains nothing: a backward that comes later
finds them asleep. Work that was put off is finished by then, and so such a backward is faster.
"""

from time import perf_counter, process_time, sleep

from bncli.benchmarking import conditions
from bncli.benchmarking.conditions import Readings
from bncli.benchmarking.ready import Make
from bncli.benchmarking.timing import first_call
from bncli.core.rows.times import LeftRunning

TRIES = 2
LONGEST_PAUSE = 25e-3  # seconds: threads of OpenMP wait for up to 10 ms
SHORTEST_PAUSE = 1e-3
LATE = 0.4  # of a pause: its end, when threads of OpenMP sleep
SHARE = 0.1  # of the time allowed
DISTURBED = 0.5  # cores that other processes, or the hypervisor, use
COARSE = 30e-3  # CPU seconds: the system counts in steps of 10 ms


def measure(backward: Make, max_time: float, kernels: int, tries: int = TRIES) -> LeftRunning | None:
    """What a forward, and the backward that it makes ready, leave running.

    None if ``max_time`` is too short, or if other processes ran meanwhile, whose work delays that of threads. The
    pauses after the calls of all ``kernels`` together take a small share of ``max_time`` seconds.
    """
    pause = min(LONGEST_PAUSE, SHARE * max_time / (2 * TRIES * kernels))
    if pause < SHORTEST_PAUSE:
        return None
    before = conditions.read()
    found = []
    for _ in range(tries):
        at_once = first_call(backward().prepared.call, perf_counter)
        after_backward, _ = _used(pause)
        ready = backward()
        after_forward, still_busy = _used(pause)
        later = first_call(ready.prepared.call, perf_counter)
        found.append((after_forward, after_backward, still_busy, at_once, later))
    if _disturbed(before, conditions.read()):
        return None
    after_forward, after_backward, still_busy, at_once, later = map(min, zip(*found, strict=True))
    return LeftRunning(
        left_after_forward=after_forward,
        left_after_backward=after_backward,
        left_in=pause,
        still_busy=still_busy,
        backward_at_once=at_once,
        backward_later=later,
    )


def _disturbed(before: Readings | None, after: Readings | None) -> bool:
    if before is None or after is None:
        return False
    load, seconds = conditions.between(before, after), after.time - before.time
    return max(load.others or 0.0, load.stolen or 0.0) * seconds > max(DISTURBED * seconds, COARSE)


def _used(pause: float) -> tuple[float, float]:
    """The CPU seconds of this process in a pause of the caller, and the cores that it uses at the pause's end."""
    start = process_time()
    sleep(pause * (1 - LATE))
    late, when = process_time(), perf_counter()
    sleep(pause * LATE)
    end = process_time()
    return end - start, (end - late) / (perf_counter() - when)
