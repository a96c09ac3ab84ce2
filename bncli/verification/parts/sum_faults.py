"""The right sums of a part that backward needs, and the fault of a reduce function in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification.parts.candidates import named
from bncli.verification.parts.moments import SAMPLES, WIDE, budget, moments
from bncli.verification.parts.scenarios import EMPTY_PARTS, Scenario

Array = NDArray[Any]


def sums(dy: Array, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    """The sums of dy and of dy * x_hat, (F,), in extended precision."""
    dy, x_hat = dy.astype(WIDE), (x.astype(WIDE) - mean[:, None]) * inv_std[:, None]
    return dy.sum(SAMPLES), (dy * x_hat).sum(SAMPLES)


def scales(dy: Array, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    """The sizes (F,) of the terms of both sums; a rounding of the mean or of x * inv_std moves every x_hat."""
    dy, x = np.abs(dy.astype(WIDE)), x.astype(WIDE)
    x_hat = np.abs(x - mean[:, None]) * inv_std[:, None]
    moved = (np.abs(x) + np.abs(mean)[:, None]) * inv_std[:, None]
    least = np.finfo(np.float32).smallest_normal
    return dy.sum(SAMPLES) + least, (dy * (x_hat + moved)).sum(SAMPLES) + least


def of_reduce(
    scenario: Scenario,
    pairs: Sequence[tuple[Array, Array]],
    actual: Sequence[Array],
    given: Sequence[Array],
    dtype: str,
) -> list[str]:
    """Sentences on the sums over all parts, dy and x of ``pairs``; ``given`` are mean and inv_std."""
    if not all(np.isfinite(each).all() for each in actual):
        return ["an empty part gives NaN"] if scenario.name == EMPTY_PARTS else ["it is not finite"]
    mean, inv_std = given
    dy, x = scenario.dy, scenario.x
    right, sizes = sums(dy, x, mean, inv_std), scales(dy, x, mean, inv_std)
    zero, one = np.zeros_like(mean), np.ones_like(inv_std)
    own = [sums(*pair, moments(pair[1]).mean, inv_std)[1] for pair in pairs]
    of_means = [
        sum(sums(*pair, mean, inv_std)[number] / max(pair[0][:, 0].size, 1) for pair in pairs) for number in (0, 1)
    ]
    wrong = (
        {"is a mean, and not a sum": np.asarray(of_means[0]), "is a sum of dy · x_hat": right[1]},
        {
            "is a mean, and not a sum": np.asarray(of_means[1]),
            "lacks inv_std: it is the sum of dy · (x - mean)": sums(dy, x, mean, one)[1],
            "has inv_std twice": right[1] * inv_std,
            "is of x that is not centred": sums(dy, x, zero, inv_std)[1],
            "is the sum of dy · x": sums(dy, x, zero, one)[1],
            "takes the mean of each part, and not that of the batch": np.sum(own, axis=0),
            "is divided by inv_std, and not multiplied": sums(dy, x, mean, 1 / inv_std.astype(WIDE))[1],
            "is a sum of dy": right[0],
        },
    )
    names = ("sum_dy", "sum_dy_x_hat")
    return [
        f"{name} {how}"
        for name, found, expected, scale, others in zip(names, actual, right, sizes, wrong, strict=True)
        for how in named(found, expected, scale, budget(x, dtype), others)
    ]
