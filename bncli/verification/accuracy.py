"""How far are a kernel's results from the formulas computed in a wider type?"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.array_statistics import on_all_cores
from bncli.core.case import Case
from bncli.core.kernel import BACKWARD, FORWARD, Gradients, Kernel, Saved
from bncli.core.problem import OF_INFERENCE, finfo, statistics_dtype, wider
from bncli.loading.registry import load_kernel
from bncli.loading.results import is_numeric
from bncli.verification import tolerance
from bncli.verification.finding import Finding
from bncli.verification.reference_judge import METHOD, SAMPLES, Compared, ReferenceJudge
from bncli.verification.tolerance import Magnitude

Array = NDArray[Any]

BLOCK = 1 << 19  # elements that are judged at a time: the reference needs several arrays of them, in a wide type
STATISTICS = ("mean", "var", "inv_std")
GRADIENTS_OF_INFERENCE = tuple(f"{name}{OF_INFERENCE}" for name in Gradients._fields)


def check(kernel: Kernel, case: Case) -> list[Finding]:
    """Judge all that ``kernel`` computes on ``case``: y, statistics, gradients and inference, where it has these.

    y and dx are never held together. Raises KernelFault where the kernel does.
    """
    findings: list[Finding] = []
    if FORWARD not in kernel.absent:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        own = {} if BACKWARD in kernel.absent else statistics(saved, case)
        findings += judge(kernel, case, {"y": y, **own})
        del y
        if BACKWARD not in kernel.absent:
            findings += judge(kernel, case, Gradients(*kernel.backward(case.dy, saved))._asdict())
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

    def expected(features: slice) -> Iterator[tuple[str, Array, Magnitude]]:
        _, _, value, magnitude = inference(_part(kept, features))
        yield "infer", value, magnitude

    return _compare(kernel, case, {"infer": y}, expected)


def check_gradients_of_inference(kernel: Kernel, case: Case) -> list[Finding]:
    """Judge the gradients of inference; no finding for a kernel without infer_backward."""
    if kernel.infer_backward is None:
        return []
    case = case.taking(kernel.parameters)
    kept = _kept(case)

    def expected(features: slice) -> Iterator[tuple[str, Array, Magnitude]]:
        for name, (value, magnitude) in gradients_of_inference(_part(kept, features)).items():
            yield name, value, magnitude

    return _compare(kernel, case, run_inference(kernel, case), expected)


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
    found = on_all_cores(lambda features: _spreads(case.x[:, features]), list(_blocks(case)))
    mean, spread, span = np.concatenate(list(found), 1)
    ends = finfo(dtype)
    # The deviation of tiny x underflows; a mean far beyond x would hide x where there is no beta.
    spread = np.where(spread > 0, spread, np.where(span > 0, span, np.maximum(np.abs(mean), 1)))
    var = np.clip(4 * spread * spread, float(ends.smallest_normal), float(ends.max) / 4)
    return (mean + spread / 2).astype(dtype), var.astype(dtype)


def _spreads(x: Array) -> Array:
    """The mean, the deviation and the span of each feature, (3, F), in float64."""
    with np.errstate(all="ignore"):  # of this thread
        wide = x.astype(np.float64)
        return np.array([wide.mean(SAMPLES), wide.std(SAMPLES), wide.max(SAMPLES) - wide.min(SAMPLES)])


def judge(kernel: Kernel, case: Case, actual: Mapping[str, Array]) -> list[Finding]:
    """Compare the arrays in ``actual``, any of y, mean, var, inv_std, dx, dgamma, dbeta, with ``reference``.

    A gradient that the kernel does not have is left out.
    """
    case = case.taking(kernel.parameters)
    return _compare(kernel, case, actual, lambda features: _expected(case, features, actual))


def _compare(
    kernel: Kernel,
    case: Case,
    actual: Mapping[str, Array],
    expected: Callable[[slice], Iterable[tuple[str, Array, Magnitude]]],
) -> list[Finding]:
    """A finding for each array in ``actual``; ``expected`` gives names, values and magnitudes of some features."""
    judges = {name: ReferenceJudge(name, case) for name in actual if is_judged(kernel, name)}

    def compared(features: slice) -> list[tuple[str, Compared]]:
        found = []
        with np.errstate(all="ignore"):  # of this thread
            for name, value, magnitude in expected(features):
                if name in judges:
                    block = actual[name][:, features] if actual[name].ndim == 3 else actual[name][features]
                    found.append((name, judges[name].compared(features.start, block, value, magnitude)))
        return found

    for found in on_all_cores(compared, list(_blocks(case))):
        for name, block in found:
            judges[name].add(block)
    return [each.finding(kernel) for each in judges.values()]


def is_judged(kernel: Kernel, name: str) -> bool:
    """Whether the array ``name`` is none of the gradients, of training or inference, that ``kernel`` does not have."""
    gradient = name.removesuffix(OF_INFERENCE)
    return gradient in kernel.gradients or gradient not in Gradients._fields


def differ(case: Case, first: Mapping[str, Array], second: Mapping[str, Array]) -> list[str]:
    """The names of the arrays that differ by more than the roundings of both; for small cases."""
    allowed = 2 * tolerance.budget(case.problem)
    found = []
    for name, _, magnitude in _expected(case, slice(None), first):
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


def _part(case: Case, features: slice) -> Case:
    return case.select(np.arange(features.start, features.stop))


def _blocks(case: Case) -> Iterator[slice]:
    features = case.problem.features
    step = max(1, BLOCK // case.problem.samples)
    return (slice(first, min(first + step, features)) for first in range(0, features, step))


def _expected(case: Case, features: slice, names: Collection[str]) -> Iterator[tuple[str, Array, Magnitude]]:
    """The name, expected values and magnitude of each array of ``names``, on ``features``."""
    x, dy = (np.ascontiguousarray(array[:, features]) for array in (case.x, case.dy))
    gamma, beta = case.gamma[features], case.beta[features]
    reference = load_kernel(METHOD)
    # With a wide `out` the reference returns all its digits.
    wide = np.empty(x.shape, wider(x.dtype))
    _, saved = reference.forward(x, gamma, beta, case.problem.epsilon, out=wide)
    scales = tolerance.magnitudes(dy, saved, beta, case.problem.dtype)
    for name, value in {"y": wide, **{name: getattr(saved, name) for name in STATISTICS}}.items():
        if name in names:
            yield name, value, scales[name]
    if any(name in names for name in Gradients._fields):
        # y has been used, so its memory serves dx.
        into = Gradients(wide, np.empty(gamma.shape, wide.dtype), np.empty(gamma.shape, wide.dtype))
        reference.backward(dy, saved, out=into)
        for name, value in into._asdict().items():
            if name in names:
                yield name, value, scales[name]
