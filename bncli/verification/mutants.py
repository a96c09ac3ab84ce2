"""What the checks are checked with: seeded faults, every one to be caught, and right kernels, every one to pass.

A fault is one change to one small right kernel, ``_mutants/steps.py``, which shares no code with
the kernels of the house, least of all with the oracle.
"""

from bncli.core.kernel import Kernel
from bncli.verification._mutants import forward, manners, memory, places, precision, right, terms
from bncli.verification._mutants.mutant import Kind, Mutant

__all__ = ["MUTANTS", "RIGHT", "Kind", "Mutant"]

MUTANTS: tuple[Mutant, ...] = (
    *terms.MUTANTS,
    *places.MUTANTS,
    *forward.MUTANTS,
    *precision.MUTANTS,
    *memory.MUTANTS,
    *manners.MUTANTS,
)
RIGHT: tuple[Kernel, ...] = right.KERNELS
