"""Kernels that test the checks: seeded faults, all of which must be caught, and right kernels, all of which must pass.

A fault is one change to one small right kernel, ``_mutants/steps.py``, which shares no code with
the kernels of the house, least of all with the oracle.
"""

from bncli.core.kernel import Kernel
from bncli.verification._mutants import (
    behaviour_faults,
    call_history_faults,
    chance_faults,
    forward_faults,
    inference_faults,
    layer_faults,
    layer_steps,
    left_out_faults,
    memory_faults,
    memory_layout_faults,
    parts_faults,
    place_faults,
    precision_faults,
    right_kernels,
    right_styles,
    shape_faults,
    term_faults,
    type_faults,
    value_faults,
)
from bncli.verification._mutants.mutant import Kind, Mutant

__all__ = ["MUTANTS", "RIGHT", "Kind", "Mutant"]

MUTANTS: tuple[Mutant, ...] = (
    *term_faults.MUTANTS,
    *place_faults.MUTANTS,
    *forward_faults.MUTANTS,
    *precision_faults.MUTANTS,
    *memory_faults.MUTANTS,
    *behaviour_faults.MUTANTS,
    *shape_faults.MUTANTS,
    *memory_layout_faults.MUTANTS,
    *call_history_faults.MUTANTS,
    *value_faults.MUTANTS,
    *type_faults.MUTANTS,
    *inference_faults.MUTANTS,
    *parts_faults.MUTANTS,
    *chance_faults.MUTANTS,
    *left_out_faults.MUTANTS,
    *layer_faults.MUTANTS,
)
RIGHT: tuple[Kernel, ...] = (
    *right_kernels.KERNELS,
    *right_styles.KERNELS,
    *left_out_faults.KERNELS,
    layer_steps.KERNEL,
)
