"""How fast the processor's clock really runs.

A chain of operations, each of which needs the result of the one before, takes the same number of cycles
always, and no memory: by what its time changes, the clock's frequency has changed. What a system
reports as the frequency is often a constant, in a virtual machine above all.
"""

import numba

from bncli.numba_cache import kept

STEPS = 10_000  # each a shift, an exclusive or and a multiplication: about 5 cycles


@numba.njit(cache=kept(numba.njit))
def chain(seed: int) -> int:
    """``STEPS`` operations in a row, which no compiler can shorten."""
    for _ in range(STEPS):
        seed = (seed ^ (seed >> 7)) * 6364136223846793005
    return seed
