"""Compare arrays (F,) with the right ones: the error, and a finding for the worst of several."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification import finding_rows
from bncli.verification.finding import Finding, Verdict
from bncli.verification.parts.moments import NAMES, Moments, moments, scales

Array = NDArray[Any]


class Compared(NamedTuple):
    """An array (F,) and the right one, and the sizes that its error and its digits are relative to."""

    actual: Array
    expected: Array
    scale: Array
    plain: Array

    def errors(self, relative_to: Array) -> Array:
        """The error of each element, (F,); infinite for NaN."""
        error = np.abs(self.actual - self.expected) / relative_to
        return np.where(np.isnan(error), np.inf, error)


def of_moments(actual: Moments, x: Array, dtype: str) -> dict[str, Compared]:
    """The moments that were given for x (N, F, S), by name."""
    return {
        name: Compared(found, right, scale, np.where(right, np.abs(right), scale))
        for name, found, right, scale in zip(NAMES, actual, moments(x), scales(x, dtype), strict=True)
    }


def error_of(actual: Moments, x: Array, dtype: str) -> float:
    """The largest error of the moments that were given for x (N, F, S)."""
    return max(float(each.errors(each.scale).max()) for each in of_moments(actual, x, dtype).values())


def finding(values: Mapping[str, Compared], kernel: str, function: str, method: str, budget: float) -> Finding:
    """The worst element of all ``values``."""
    errors = {name: each.errors(each.scale) for name, each in values.items()}
    name = max(errors, key=lambda name: errors[name].max())
    at = int(errors[name].argmax())
    error, checked = float(errors[name][at]), sum(each.size for each in errors.values())
    return Finding(
        kernel=kernel,
        array=f"{function}.{name}",
        method=method,
        verdict=Verdict.PASS if error <= budget else Verdict.WRONG,
        error=error,
        budget=budget,
        checked=checked,
        total=checked,
        index=(at,),
        actual=float(values[name].actual[at]),
        expected=float(values[name].expected[at]),
        plain_error=max(float(each.errors(each.plain).max()) for each in values.values()),
    )


def with_reason(found: Finding, said: Sequence[str]) -> Finding:
    """``found``, which fails, with its place and what is ``said`` of it."""
    return replace(found, reason="; ".join([finding_rows.where(found), *said]))
