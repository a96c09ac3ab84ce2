"""How far are a kernel's results from the formulas computed in a wider type?"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core import array_statistics
from bncli.core.case import Case
from bncli.core.in_blocks import Block, on_all_cores
from bncli.core.kernel import BACKWARD, FORWARD, Gradients, Kernel, Saved
from bncli.core.problem import OF_INFERENCE, finfo, statistics_dtype, wider
from bncli.loading.registry import load_kernel
from bncli.loading.results import is_numeric
from bncli.verification import tolerance
from bncli.verification.blocked_reference import WHOLE, Blocked, Expected, Inference, Training
from bncli.verification.finding import Finding
from bncli.verification.reference_judge import METHOD, SAMPLES, Compared, ReferenceJudge
from bncli.verification.tolerance import Magnitude

Array = NDArray[Any]

BLOCK = 1 << 19  # elements that are judged at once: the reference needs several arrays of them, in a wide type
STATISTICS = ("mean", "var", "inv_std")
GRADIENTS_OF_INFERENCE = tuple(f"{name}{OF_INFERENCE}" for name in Gradients._fields)


def check(kernel: Kernel, case: Case) -> list[Finding]:
    """Judge all that ``kernel`` computes on ``case``: y, statistics, gradients and inference, where it has these.

    y and dx are never held together. Raises KernelFault where the kernel does.
    """
    findings: list[Finding] = []
    if FORWARD not in kernel.absent:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        reference = reference_of(kernel, case)
        own = {} if BACKWARD in kernel.absent else statistics(saved, case)
        findings += judge(kernel, case, {"y": y, **own}, reference)
        del y
        if BACKWARD not in kernel.absent:
            findings += judge(kernel, case, Gradients(*kernel.backward(case.dy, saved))._asdict(), reference)
    return findings + check_inference(kernel, case) + check_gradients_of_inference(kernel, case)


def statistics(saved: Any, case: Case) -> dict[str, Array]:
    """Those of mean, inv_std and var that ``saved`` exposes, each (F,); var only together with inv_std."""
    found = {}
    for name in STATISTICS:
        value = getattr(saved, name, None)
        # An attribute of that name may be something else: an array has a method mean.
        if isinstance(value, np.ndarray) and value.size == case.gamma.size and is_numeric(value):
            found[name] = value.reshape(-1)
    if "inv_std" not in found:  # then var may be the inverse root, as it is in the layers of NumPyNet
        found.pop("var", None)
    return found


def check_inference(kernel: Kernel, case: Case) -> list[Finding]:
    """Judge y computed from given statistics; no finding for a kernel without infer."""
    if kernel.infer is None:
        return []
    case = case.taking(kernel.parameters)
    kept = _kept(case)
    y = kernel.infer(case.x, case.gamma, case.beta, *other_statistics(case), case.problem.epsilon)

    def expected(names: Collection[str]) -> Iterator[Expected]:
        _, _, value, magnitude = inference(kept)
        yield "infer", WHOLE, value, magnitude

    return _compare(kernel, case, {"infer": y}, _inference_of(kept), expected)


def check_gradients_of_inference(kernel: Kernel, case: Case) -> list[Finding]:
    """Judge the gradients of inference; no finding for a kernel without infer_backward."""
    if kernel.infer_backward is None:
        return []
    case = case.taking(kernel.parameters)
    kept = _kept(case)

    def expected(names: Collection[str]) -> Iterator[Expected]:
        for name, (value, magnitude) in gradients_of_inference(kept).items():
            yield name, WHOLE, value, magnitude

    return _compare(kernel, case, run_inference(kernel, case), _inference_of(kept), expected)


def _inference_of(case: Case) -> Inference | None:
    if case.x.size <= BLOCK:
        return None
    dtype = wider(case.x.dtype)
    mean, var = (array.astype(dtype) for array in other_statistics(case))
    return Inference(case, Saved(case.x, case.gamma, mean, var, 1 / np.sqrt(var + dtype.type(case.problem.epsilon))))


def run_inference(kernel: Kernel, case: Case) -> dict[str, Array]:
    """The gradients of inference, by their names, for a kernel that has infer_backward."""
    assert kernel.infer_forward is not None  # for the type checker
    assert kernel.infer_backward is not None
    mean, var = other_statistics(case)
    _, saved = kernel.infer_forward(case.x, case.gamma, case.beta, mean, var, case.problem.epsilon)
    return dict(zip(GRADIENTS_OF_INFERENCE, kernel.infer_backward(case.dy, saved), strict=True))


def gradients_of_inference(case: Case) -> dict[str, tuple[Array, Magnitude]]:
    """The gradients of inference as they should be, with the statistics of ``inference``, and their magnitudes."""
    saved = frozen(case)
    wide, of_features = (np.empty(shape, wider(case.x.dtype)) for shape in (case.x.shape, (2, *case.gamma.shape)))
    reference = load_kernel(METHOD)
    assert reference.infer_backward is not None  # for the type checker
    found = reference.infer_backward(case.dy, saved, out=Gradients(wide, *of_features))
    sizes = tolerance.magnitudes_of_inference(case.dy, saved, case.problem.dtype)
    return {name: (value, sizes[name]) for name, value in zip(GRADIENTS_OF_INFERENCE, found, strict=True)}


def frozen(case: Case) -> Saved:
    """The statistics of ``inference`` in a wide type, with x and gamma."""
    mean, var = other_statistics(case)
    reference = load_kernel(METHOD)
    assert reference.infer_forward is not None  # for the type checker
    _, saved = reference.infer_forward(case.x, case.gamma, case.beta, mean, var, case.problem.epsilon)
    wide = saved.inv_std.dtype
    return Saved(case.x, case.gamma, mean.astype(wide), var.astype(wide), saved.inv_std)


def inference(case: Case) -> tuple[Array, Array, Array, Magnitude]:
    """A mean and a variance, both (F,), that are not the batch's; y from these, (N, F, S), and its magnitude."""
    mean, var = other_statistics(case)
    expected = np.empty(case.x.shape, wider(case.x.dtype))
    reference = load_kernel(METHOD)
    assert reference.infer is not None  # for the type checker
    reference.infer(case.x, case.gamma, case.beta, mean, var, case.problem.epsilon, out=expected)
    inv_std = 1 / np.sqrt(var.astype(np.float64) + case.problem.epsilon)
    size = np.abs(case.gamma[:, None] * inv_std[:, None])
    # Where gamma and beta are 0, there are no terms.
    least = float(finfo(case.problem.dtype).smallest_normal) * np.maximum(inv_std, 1)[:, None]
    magnitude = Magnitude(
        np.maximum(size * np.abs(case.x) + np.abs(case.beta)[:, None], least),
        np.broadcast_to(size * np.abs(mean)[:, None], case.x.shape),
    )
    return mean, var, expected, magnitude


def other_statistics(case: Case) -> tuple[Array, Array]:
    """A mean and a variance, (F,), that are not the batch's: with these, training would pass for inference.

    They are of x's own type, or float32 for half precision.
    """
    dtype = statistics_dtype(case.problem.dtype)
    ends = finfo(dtype)
    with np.errstate(all="ignore"):
        mean, var = array_statistics.moments(case.x, np.float64)
        spread = np.sqrt(var)
        # Squares of tiny x underflow, and those of huge x overflow.
        if (extreme := np.flatnonzero(~((spread > 0) & np.isfinite(spread)))).size:
            mean[extreme], spread[extreme] = _scaled_moments(case.x[:, extreme])
    # A mean far beyond x would hide x where there is no beta.
    spread = np.where(spread > 0, spread, np.maximum(np.abs(mean), 1))
    var = np.clip(4 * spread * spread, float(ends.smallest_normal), float(ends.max) / 4)
    most = float(ends.max)
    return np.clip(mean + spread / 2, -most, most).astype(dtype), var.astype(dtype)


def _scaled_moments(x: Array) -> tuple[Array, Array]:
    """The mean and the deviation of each feature, (F,), from x divided by its largest size."""
    wide = x.astype(np.float64)
    size = np.abs(wide).max(SAMPLES)
    wide /= np.where(size > 0, size, 1)[:, None]
    return wide.mean(SAMPLES) * size, wide.std(SAMPLES) * size


def judge(kernel: Kernel, case: Case, actual: Mapping[str, Array], reference: Training | None = None) -> list[Finding]:
    """Compare the arrays in ``actual``, any of y, mean, var, inv_std, dx, dgamma, dbeta, with ``reference``.

    A gradient that the kernel does not have is left out. ``reference`` is that of ``reference_of``, if it is known.
    """
    case = case.taking(kernel.parameters)
    return _compare(kernel, case, actual, reference or _blocked(case), partial(_expected, case))


def reference_of(kernel: Kernel, case: Case) -> Training | None:
    """The reference of a large ``case`` for several calls of ``judge``, with its sums; None if the case is small."""
    found = _blocked(case.taking(kernel.parameters))
    if found and BACKWARD not in kernel.absent:
        found.sum_up()
    return found


def _blocked(case: Case) -> Training | None:
    return Training(case) if case.x.size > BLOCK else None


def _compare(
    kernel: Kernel,
    case: Case,
    actual: Mapping[str, Array],
    blocked: Blocked | None,
    expected: Callable[[Collection[str]], Iterable[Expected]],
) -> list[Finding]:
    """A finding for each array in ``actual``: ``expected`` of their names, or ``blocked`` for a large case."""
    names = [name for name in actual if is_judged(kernel, name)]
    judges = {name: ReferenceJudge(name, case) for name in names}

    def compared(pieces: Iterable[Expected]) -> list[tuple[str, Compared]]:
        with np.errstate(all="ignore"):  # of this thread
            return [
                (name, judges[name].compared(place, _at(place, actual[name]), value, magnitude))
                for name, place, value, magnitude in pieces
                if name in judges
            ]

    if blocked is None:
        every = iter([compared(expected(names))])
    else:
        every = on_all_cores(lambda piece: compared(blocked.expected(piece)), blocked.pieces(names))
    for found in every:
        for name, block in found:
            judges[name].add(block)
    return [each.finding(kernel) for each in judges.values()]


def _at(place: Block, array: Array) -> Array:
    return np.asarray(array[place] if array.ndim == 3 else array[place[1]])


def is_judged(kernel: Kernel, name: str) -> bool:
    """Whether the array ``name`` is none of the gradients, of training or inference, that ``kernel`` does not have."""
    gradient = name.removesuffix(OF_INFERENCE)
    return gradient in kernel.gradients or gradient not in Gradients._fields


def differ(case: Case, first: Mapping[str, Array], second: Mapping[str, Array]) -> list[str]:
    """The names of the arrays that differ by more than the roundings of both; for small cases."""
    allowed = 2 * tolerance.budget(case.problem)
    found = []
    for name, _, _, magnitude in _expected(case, first):
        difference = np.abs(first[name].astype(np.float64) - second[name].astype(np.float64))
        same = (first[name] == second[name]) | np.isnan(first[name]) & np.isnan(
            second[name]
        )  # equal infinities differ by NaN
        if not (same | (difference <= allowed * magnitude.whole)).all():
            found.append(name)
    return found


def _kept(case: Case) -> Case:
    """``case``, or a copy if its x can be written to, as a kernel may do."""
    if not case.x.flags.writeable:
        return case
    return replace(case, **{name: getattr(case, name).copy() for name in ("x", "dy", "gamma", "beta")})


def _expected(case: Case, names: Collection[str]) -> Iterator[Expected]:
    """The name, place, expected values and magnitude of each array of ``names``."""
    # With a wide `out` the reference returns all its digits.
    wide, reference = np.empty(case.x.shape, wider(case.x.dtype)), load_kernel(METHOD)
    _, saved = reference.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=wide)
    scales = tolerance.magnitudes(case.dy, saved, case.beta, case.problem.dtype)
    for name, value in {"y": wide, **{name: getattr(saved, name) for name in STATISTICS}}.items():
        if name in names:
            yield name, WHOLE, value, scales[name]
    if any(name in names for name in Gradients._fields):
        # y has been used, so its memory serves dx.
        into = Gradients(wide, *np.empty((2, *case.gamma.shape), wide.dtype))
        reference.backward(case.dy, saved, out=into)
        for name, value in into._asdict().items():
            if name in names:
                yield name, WHOLE, value, scales[name]
