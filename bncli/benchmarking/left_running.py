"""What a forward leaves running after it has returned: threads that go on with its work, or wait for more.

No time of forward or backward includes the work of such threads, and they slow down what is timed next. OpenMP's
threads wait actively for some milliseconds after every parallel call, which gains nothing: a backward that comes later
finds them asleep. Work that was put off is finished by then, and so such a backward is faster.
"""

from time import perf_counter, process_time, sleep

from bncli.benchmarking.ready import Make
from bncli.benchmarking.timing import first_call
from bncli.core.rows.times import LeftRunning

TRIES = 2
LONGEST_PAUSE = 25e-3  # seconds: threads of OpenMP wait for up to 10 ms
SHORTEST_PAUSE = 1e-3
LATE = 0.4  # of a pause: its end, when threads of OpenMP sleep
SHARE = 0.1  # of the time allowed


def measure(backward: Make, max_time: float, kernels: int, tries: int = TRIES) -> LeftRunning | None:
    """What a forward, and the backward that it makes ready, leave running; None if ``max_time`` is too short.

    The pauses after the calls of all ``kernels`` together take a small share of ``max_time`` seconds.
    """
    pause = min(LONGEST_PAUSE, SHARE * max_time / (2 * TRIES * kernels))
    if pause < SHORTEST_PAUSE:
        return None
    found = []
    for _ in range(tries):
        at_once = first_call(backward().prepared.call)
        after_backward, _ = _used(pause)
        ready = backward()
        after_forward, still_busy = _used(pause)
        found.append((after_forward, after_backward, still_busy, at_once, first_call(ready.prepared.call)))
    after_forward, after_backward, still_busy, at_once, later = map(min, zip(*found, strict=True))
    return LeftRunning(
        left_after_forward=after_forward,
        left_after_backward=after_backward,
        left_in=pause,
        still_busy=still_busy,
        backward_at_once=at_once,
        backward_later=later,
    )


def _used(pause: float) -> tuple[float, float]:
    """The CPU seconds of this process in a pause of the caller, and the cores that it uses at the pause's end."""
    start = process_time()
    sleep(pause * (1 - LATE))
    late, when = process_time(), perf_counter()
    sleep(pause * LATE)
    end = process_time()
    return end - start, (end - late) / (perf_counter() - when)
