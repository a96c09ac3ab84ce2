"""A probe of the processor's true clock frequency.

A chain of dependent operations always takes the same number of cycles, and no memory: its time changes only with
the clock's frequency. The frequency that a system reports is often a constant, above all in a virtual machine.
"""

import numba

from bncli.numba_cache import can_cache

STEPS = 10_000  # each step is a shift, an exclusive or and a multiplication: about 5 cycles


@numba.njit(cache=can_cache(numba.njit))
def chain(seed: int) -> int:
    """``STEPS`` dependent steps, which no compiler can shorten."""
    for _ in range(STEPS):
        seed = (seed ^ (seed >> 7)) * 6364136223846793005
    return seed
