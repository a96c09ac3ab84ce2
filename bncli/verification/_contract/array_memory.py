"""Memory: a kernel leaves its inputs alone, fills its outputs, and does not overwrite them in later calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import BATCH, Case
from bncli.core.kernel import Gradients, Kernel
from bncli.errors import KernelFault, KernelRefused, MemoryNotHeld
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy
from bncli.verification._contract.calls import GIVEN, RESULTS, another, differ_by_chance, run, same, writable
from bncli.verification._diagnosis.wording import listing, verb

Array = NDArray[Any]

NUMBER = 1234.5  # in new memory, in place of NaN
LATER = 4  # later calls, since a kernel may return several buffers in turn


def inputs_unchanged(kernel: Kernel, case: Case) -> str:
    given = writable(case)
    y, saved = kernel.forward(given.x, given.gamma, given.beta, case.problem.epsilon)
    by_forward = [name for name in GIVEN if not same(getattr(given, name), getattr(case, name))]
    if by_forward:
        return f"forward writes into its {listing(by_forward)}"
    before = y.copy()
    kernel.backward(given.dy, saved)
    by_backward = [name for name in GIVEN if not same(getattr(given, name), getattr(case, name))]
    by_backward += [] if same(y, before) else ["y"]
    return f"backward writes into {listing(by_backward)}" if by_backward else ""


def written_in_full(kernel: Kernel, case: Case) -> str:
    """Counts the results that are NaN if new memory holds NaN, and a number if new memory holds a number."""
    ought = run(load_kernel("reference"), case).results()
    unwritten = {name: np.isnan(array) & ~np.isnan(ought[name]) for name, array in _in(np.nan, kernel, case).items()}
    if any(
        mask.any() for mask in unwritten.values()
    ):  # computed NaN, as the root of a negative number, does not depend on the memory
        of_numbers = _in(NUMBER, kernel, case)
        unwritten = {name: mask & ~np.isnan(of_numbers[name]) for name, mask in unwritten.items()}
    counts = {name: int(mask.sum()) for name, mask in unwritten.items() if mask.any()}
    if not counts:
        return ""
    parts = [f"{count:,} value{'s' * (count > 1)} of {name}" for name, count in counts.items()]
    are = "is" if sum(counts.values()) == 1 else "are"
    return f"{listing(parts)} {are} never written: the memory keeps its old contents"


def _in(content: float, kernel: Kernel, case: Case) -> dict[str, Array]:
    """The results of ``kernel`` in memory that was full of ``content``."""
    with _memory_full_of(content, case):
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    with _memory_full_of(content, case):
        return {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}


@contextmanager
def _memory_full_of(content: float, case: Case) -> Iterator[None]:
    """Fills new memory with ``content``: always for np.empty, and mostly for other allocations.

    Freed memory of the right size is mostly used again, so arrays full of it are freed first.
    """

    def full(make: Callable[..., Array]) -> Callable[..., Array]:
        def made(*arguments: Any, **options: Any) -> Array:
            array = make(*arguments, **options)
            if array.dtype.kind in "fc":
                array.fill(content)
            return array

        return made

    freed, kept = [], []
    for like in (case.x, case.gamma):
        for _ in range(8):  # a kernel has temporary arrays as well
            freed.append(np.full_like(like, content))
            kept.append(np.empty_like(like))  # in between, so that freed blocks do not merge into one
    freed.clear()
    makers: dict[str, Callable[..., Array]] = {"empty": np.empty, "empty_like": np.empty_like}
    try:
        for name, make in makers.items():
            setattr(np, name, full(make))
        yield
    finally:
        for name, make in makers.items():
            setattr(np, name, make)
    kept.clear()


def out(kernel: Kernel, case: Case) -> str:
    expected = run(kernel, case).results()
    y = np.full_like(case.x, np.nan)
    into = Gradients(*(np.full_like(like, np.nan) for like in (case.x, case.gamma, case.gamma)))
    returned, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    gradients = kernel.backward(case.dy, saved, out=into)
    given = {"y": y, **into._asdict()}
    wrong = accuracy.differ(case, given, expected)
    if wrong and (by_chance := differ_by_chance(kernel, case)):
        return by_chance
    wrong += [name for name, array in zip(RESULTS, (returned, *gradients), strict=True) if array is not given[name]]
    names = list(dict.fromkeys(wrong))
    return f"with out= given, its {listing(names)} {verb(names, 'are')} not filled and returned" if names else ""


def own_memory(kernel: Kernel, case: Case) -> str:
    first = run(kernel, case).results()
    kept = {name: array.copy() for name, array in first.items()}
    for _ in range(LATER):
        run(kernel, another(case))
    changed = [name for name in RESULTS if not same(first[name], kept[name])]
    return f"a later call overwrites the first call's {listing(changed)}" if changed else ""


def infer_keeps(kernel: Kernel, case: Case) -> str:
    if kernel.infer is None:
        return ""
    mean, var = accuracy.other_statistics(case)
    given = {"x": case.x, "gamma": case.gamma, "beta": case.beta, "mean": mean, "var": var}
    before = {name: array.copy() for name, array in given.items()}
    y = kernel.infer(case.x, case.gamma, case.beta, mean, var, case.problem.epsilon)
    if written := [name for name, array in given.items() if not same(array, before[name])]:
        return f"infer writes into its {listing(written)}"
    kept, other = y.copy(), another(case)
    for _ in range(LATER):
        kernel.infer(other.x, other.gamma, other.beta, mean, var, case.problem.epsilon)
    return _infer_backward_keeps(kernel, case) if same(y, kept) else "a later infer overwrites the first infer's y"


def _infer_backward_keeps(kernel: Kernel, case: Case) -> str:
    if kernel.infer_backward is None:
        return ""
    given = {name: getattr(case, name).copy() for name in GIVEN}
    first = accuracy.run_inference(kernel, case)
    if written := [name for name in GIVEN if not same(getattr(case, name), given[name])]:
        return f"the backward of inference writes into {listing(written)}"
    kept = {name: array.copy() for name, array in first.items()}
    for _ in range(LATER):
        accuracy.run_inference(kernel, another(case))
    changed = [name for name, array in kept.items() if not same(first[name], array)]
    return f"a later call overwrites the first call's {listing(changed)}" if changed else ""


def read_only(kernel: Kernel, case: Case) -> str:
    fixed = writable(case)
    for name in GIVEN:
        getattr(fixed, name).flags.writeable = False
    run(kernel, case)  # raises the faults that have another cause
    try:
        run(kernel, fixed)
    except KernelFault as fault:
        return f"read-only input is refused: {fault}"
    return ""


def strided(kernel: Kernel, case: Case) -> str:
    """A kernel may refuse arrays that are not contiguous, but must neither misread them nor break."""
    arrays: dict[str, Any] = {}
    for name in BATCH:
        wide = np.zeros((*case.x.shape[:2], 2 * case.x.shape[2]), case.x.dtype)
        arrays[name] = wide[:, :, ::2]
        arrays[name][...] = getattr(case, name)
    try:
        found = run(kernel, replace(case, **arrays)).results()
    except (KernelRefused, MemoryNotHeld):
        return ""
    differ = accuracy.differ(case, found, run(kernel, case).results())
    if not differ:
        return ""
    said = f"x and dy that are not contiguous give a different {listing(differ)}"
    return differ_by_chance(kernel, case) or said
