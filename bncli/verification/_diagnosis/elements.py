"""What wrong elements have in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.evidence import Evidence
from bncli.verification._diagnosis.wording import number, ratio

Array = NDArray[Any]


def alike(evidence: Evidence, wrong: Array) -> tuple[str, ...]:
    """The one factor, or the one difference, of the elements where the mask ``wrong`` is true."""
    actual, expected, noise = (array[wrong] for array in (evidence.actual, evidence.expected, evidence.noise))
    if actual.size < 2:
        return ()
    weight = noise**-2
    factor = float((actual * expected * weight).sum() / (expected**2 * weight).sum())
    if (np.abs(actual - factor * expected) <= noise).all():
        error = float(np.min(noise / np.abs(expected)))
        if abs(factor + 1) <= error:
            return ("it has the wrong sign",)
        return (f"it is {ratio(factor, error)} what it should be",)
    change = float(((actual - expected) * weight).sum() / weight.sum())
    if (np.abs(actual - expected - change) <= noise).all():
        return (f"{number(change, float(noise.min()))} is added to it",)
    return ()
