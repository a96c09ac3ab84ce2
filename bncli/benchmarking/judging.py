"""Verify each pass before it is timed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from bncli.benchmarking.buffers import Inputs, Outputs, digest
from bncli.benchmarking.passes import GIVEN, RESULTS, STEP, TRAINING, Pass, PassKey, passes, writing_into
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Gradients, Kernel
from bncli.errors import KernelFault
from bncli.loading.guard import described, guarded
from bncli.verification import accuracy, inexact
from bncli.verification.finding import Finding, Verdict, worst

Array = NDArray[Any]


@dataclass(frozen=True)
class Space:
    """The arrays for one state of the caches: copies of the inputs, and outputs for each copy or one set for all."""

    cache: str
    inputs: Inputs
    outputs: Sequence[Outputs]


@dataclass(frozen=True)
class Judged:
    """A pass, the worst finding on its results, and their digests. No finding: the kernel has no such pass."""

    timed: Pass
    finding: Finding | None
    digests: Mapping[str, int]

    @property
    def passed(self) -> bool:
        """Whether the kernel has this pass, and no result of it fails."""
        return self.finding is not None and not self.finding.verdict.fails


def before(
    kernel: Kernel, case: Case, spaces: Sequence[Space], directions: Sequence[str], outputs: str, threads: int | None
) -> list[Judged]:
    """Verify every pass of a kernel for one kind of outputs, on the arrays that are timed later.

    Afterwards these arrays hold the contents of ``case`` again, even if the kernel has written into them.
    """
    keys = [
        PassKey(kernel.name, each, outputs, space.cache, threads, kernel.device)
        for space in spaces
        for each in directions
    ]
    try:
        judged = _judged(kernel, spaces, directions, outputs, threads)
    except KernelFault as error:
        judged = {}
        finding: Finding | None = fault(kernel, "a call", str(error))
    else:
        finding = None
    if _rewrite_corrupted(spaces, case):
        finding = fault(kernel, "its input", "it writes into x, dy, gamma or beta")
    if finding:
        return [Judged(Pass(key), finding, {}) for key in keys]
    return [judged.get(key, Judged(Pass(key), None, {})) for key in keys]


def _judged(
    kernel: Kernel, spaces: Sequence[Space], directions: Sequence[str], outputs: str, threads: int | None
) -> dict[PassKey, Judged]:
    """The passes of the kernel, each with the worst finding on its results. Raises KernelFault."""
    made = [
        each
        for space in spaces
        for each in passes(
            kernel, space.inputs.copies, directions, space.outputs if outputs == GIVEN else (), space.cache, threads
        )
    ]
    space, digests = spaces[0], dict[str, int]()
    if outputs == GIVEN:
        space.outputs[0].poison()
        kernel = writing_into(space.outputs[0], kernel)
    case = space.inputs.copies[0]
    found = _verify(_remembering(guarded(kernel), digests), case, directions)
    found = inexact.settle(case, found, partial(inexact.passes, guarded(kernel)))
    findings = {finding.array: finding for finding in found}
    return {
        each.key: Judged(
            each, worst([findings[array] for array in RESULTS[each.key.direction] if array in findings]), digests
        )
        for each in made
    }


def _rewrite_corrupted(spaces: Sequence[Space], case: Case) -> bool:
    """Rewrite the inputs that a kernel has written into; returns whether there were any."""
    corrupted = [space for space in spaces if space.inputs.are_corrupted()]
    for space in corrupted:
        space.inputs.rewrite(case)
    return bool(corrupted)


def raised(kernel: Kernel, error: BaseException) -> Finding:
    """The finding on a kernel that raised ``error`` while it was timed."""
    return fault(kernel, "a call", f"it raised {described(error, kernel.file)}")


def overwritten(kernel: Kernel) -> Finding:
    """The finding on inputs that this kernel or another wrote into while kernels were timed."""
    reason = "it changed while kernels were timed, so one of them wrote into it: time them one by one"
    return fault(kernel, "its input", reason)


def fault(kernel: AnyKernel, what: str, reason: str) -> Finding:
    """The finding on a call, an input or a result of a kernel that is WRONG for another reason than its values."""
    return Finding(kernel.name, what, "", Verdict.WRONG, math.inf, 0.0, reason=reason)


def _verify(kernel: Kernel, case: Case, directions: Sequence[str]) -> list[Finding]:
    findings = accuracy.check(_training(kernel), case) if set(directions) & {*TRAINING, STEP} else []
    if "infer" in directions:
        findings += accuracy.check_inference(kernel, case)
    return findings


def _training(kernel: Kernel) -> Kernel:
    """``kernel`` without inference."""
    return replace(kernel, infer=None, infer_forward=None, infer_backward=None)


def _remembering(kernel: Kernel, digests: dict[str, int]) -> Kernel:
    """``kernel``; it also stores the digests of its results in ``digests``."""

    def forward(*given: Any, **options: Any) -> tuple[Array, Any]:
        y, saved = kernel.forward(*given, **options)
        digests["y"] = digest(y)
        return y, saved

    def backward(*given: Any, **options: Any) -> Gradients:
        found = Gradients(*kernel.backward(*given, **options))
        digests.update({name: digest(array) for name, array in found._asdict().items()})
        return found

    return replace(kernel, forward=forward, backward=backward)
