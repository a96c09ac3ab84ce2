"""Compare a backward pass's directional derivatives with numerical slopes of forward."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.core.problem import OF_INFERENCE
from bncli.verification import tolerance
from bncli.verification.differentiation import Slope
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]


class Comparison(NamedTuple):
    """A gradient along one direction, (F,): by backward, and as a slope of forward."""

    actual: Array
    slope: Slope
    element: Array | None  # the flat number of the sample moved in each feature; None: all samples are moved


class SlopeJudge:
    """Turns comparisons into findings. ``features`` are the numbers, in the whole ``case``, of those compared."""

    def __init__(self, kernel: Kernel, case: Case, features: Array) -> None:
        self.kernel, self.case, self.features = kernel, case, features

    def finding(self, array: str, method: str, comparisons: list[Comparison]) -> Finding:
        """The verdict on ``array`` by all ``comparisons``; the finding names the worst one.

        Each comparison has F gradients, so arrays here are (comparisons, F).
        """
        actual = np.stack([c.actual for c in comparisons])
        expected = np.stack([c.slope.value for c in comparisons])
        allowed = np.stack([c.slope.error for c in comparisons])
        # Data with NaN or infinity have no slope.
        has_slope = np.isfinite(expected) & np.isfinite(allowed)
        share = _share_of_allowed(actual, expected, allowed, has_slope)
        wrong = share > 1
        # A mistake cannot show in a feature whose slopes are all hardly larger than their errors, or which has none.
        size = np.abs(expected, where=has_slope, out=np.zeros_like(expected))
        undecidable = (size <= tolerance.DECIDABLE * allowed).all(0) | ~has_slope.any(0)
        verdict, reason = Verdict.WRONG if wrong.any() else Verdict.PASS, ""
        if verdict is Verdict.PASS and undecidable.all():
            verdict, reason = Verdict.UNDECIDED, self._too_small(array, size.max(), allowed)
        elif verdict is Verdict.PASS and undecidable.any():
            reason = _unjudged(undecidable, ~has_slope.any(0))
        at = _worst(share, comparisons)
        scale = size.max() or 1.0
        moved = sum(c.element is not None for c in comparisons) or 1
        total = self.case.x.size if array.startswith("dx") else self.case.gamma.size
        return Finding(
            self.kernel.name, array, str(method), verdict,
            error=float(np.abs(actual[at] - expected[at]) / scale), budget=float(allowed[at] / scale),
            checked=min(moved * self.features.size, total), total=total,
            index=self._index(comparisons[at[0]], int(at[1]), array),
            actual=float(actual[at]), expected=float(expected[at]), reason=reason,
            wrong_features=tuple(self.features[wrong.any(0)].tolist()),
        )  # fmt: skip

    def _index(self, comparison: Comparison, number: int, array: str) -> tuple[int, ...]:
        feature = int(self.features[number])
        problem = self.case.problem
        if not array.startswith("dx"):
            return tuple(int(i) for i in np.unravel_index(feature, problem.feature_shape))
        if comparison.element is None:
            return ()
        outer, inner = divmod(int(comparison.element[number]), self.case.x.shape[2])
        return problem.position(outer, feature, inner)

    def _too_small(self, array: str, size: float, allowed: Array) -> str:
        samples, of_inference = self.case.problem.samples, array.endswith(OF_INFERENCE)
        if samples <= 2 and not of_inference:
            return f"with {samples} sample{'s' * (samples > 1)} per feature it is 0 for any kernel: give 3 or more"
        needed = "a larger dy" if of_inference else "a dy that is neither constant nor a multiple of x"
        return (
            f"the expected gradient, at most {size:.2g}, is too small relative to the tolerance, "
            f"{np.nanmin(allowed):.2g}, for a mistake to show: give {needed}"
        )


def _unjudged(undecidable: Array, without_slope: Array) -> str:
    """How many features, of masks (F,), show no mistake in their slopes, and why."""
    counts = {
        "too small a gradient to be judged": int((undecidable & ~without_slope).sum()),
        "no finite slope": int(without_slope.sum()),
    }
    parts = [
        f"{count:,} of {undecidable.size:,} features {'have' if count > 1 else 'has'} {why}"
        for why, count in counts.items()
        if count
    ]
    return "; ".join(parts)


def _share_of_allowed(actual: Array, expected: Array, allowed: Array, has_slope: Array) -> Array:
    """The difference divided by the error that the slope may have; 0 where there is no slope, infinite for NaN."""
    difference = np.abs(actual - expected)
    # Without this mask, 0 / 0 would be NaN: a direction may be 0 in a feature of few samples.
    differs = difference != 0
    share = np.divide(difference, allowed, where=has_slope & differs, out=np.zeros_like(expected))
    share[has_slope & np.isnan(share)] = np.inf
    return np.asarray(share)


def _worst(share: Array, comparisons: list[Comparison]) -> tuple[int, int]:
    """(comparison, feature) of the largest share; a wrong element is preferred, since it says more than a direction."""
    elements = [i for i, comparison in enumerate(comparisons) if comparison.element is not None]
    rows = elements if elements and (share[elements].max() > 1 or share.max() <= 1) else range(len(comparisons))
    row = max(rows, key=lambda i: share[i].max())
    return row, int(share[row].argmax())
