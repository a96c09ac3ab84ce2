"""State: the result of a call depends neither on other calls nor on the number of threads."""

from os import cpu_count

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
from bncli.errors import BncliError
from bncli.verification import accuracy
from bncli.verification._contract.calls import (
    GIVEN,
    RESULTS,
    Remark,
    another,
    differ_by_chance,
    from_call_to_call,
    run,
    same,
    writable,
)
from bncli.verification._diagnosis.wording import listing, verb


def two_forwards(kernel: Kernel, case: Case) -> str:
    other = another(case)
    alone = run(kernel, case).gradients
    _, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    kernel.forward(other.x, other.gamma, other.beta, other.problem.epsilon)
    differ = accuracy.differ(case, Gradients(*kernel.backward(case.dy, saved))._asdict(), alone._asdict())
    if differ:
        given = f"instead of the `saved` {'they were' if len(differ) > 1 else 'it was'} given"
        said = f"{listing(differ)} {verb(differ, 'use')} the state of the latest forward {given}"
        return differ_by_chance(kernel, case) or said
    return ""


def same_arrays(kernel: Kernel, case: Case) -> str:
    """Calls again with the same arrays holding new values: a cache by array identity returns stale results."""
    other = another(case)
    given = writable(case)
    run(kernel, given)
    for name in GIVEN:
        getattr(given, name)[...] = getattr(other, name)
    differ = accuracy.differ(other, run(kernel, given).results(), run(kernel, other).results())
    if differ:
        stale = f"{verb(differ, 'are')} {'those' if len(differ) > 1 else 'that'} of the previous call"
        said = f"{listing(differ)} {stale}, although the same arrays hold new values"
        return differ_by_chance(kernel, other) or said
    return ""


def repeatable(kernel: Kernel, case: Case) -> str:
    first = run(kernel, case).results()
    for _ in range(3):
        again = run(kernel, case).results()
        if differ := accuracy.differ(case, first, again):
            return from_call_to_call(kernel, case, differ)
        if differ := [name for name in RESULTS if not same(first[name], again[name])]:
            return f"the last bits of {listing(differ)} differ from call to call, on the same data"
    return ""


def thread_count(kernel: Kernel, case: Case) -> str:
    if kernel.set_threads is None:
        return ""
    before = kernel.set_threads(1)
    last_bits = ""
    try:
        alone = run(kernel, case).results()
        for threads in range(2, max(2, before or cpu_count() or 1) + 1):
            try:
                kernel.set_threads(threads)
            except BncliError:
                continue  # this machine has fewer
            together = run(kernel, case).results()
            if differ := accuracy.differ(case, alone, together):
                said = f"{listing(differ)} {verb(differ, 'differ')} between 1 thread and {threads}"
                return differ_by_chance(kernel, case) or said
            if differ := [name for name in RESULTS if not same(alone[name], together[name])]:
                last_bits = f"the last bits of {listing(differ)} differ between 1 thread and {threads}"
    finally:
        kernel.set_threads(before or cpu_count() or 1)
    return Remark(last_bits)
