"""Faults in the path that a kernel takes for some shapes: vectors, blocks, counters and axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._mutants.mutant import Kind, Mutant, hidden
from bncli.verification._mutants.steps import Steps, Terms, affine, build, by_sample, dx, on_path, statistics, total

Array = NDArray[Any]
Moments = tuple[Array, Array, Array]
Shape = Callable[[int, int, int], bool]
Affine = Callable[[Array, Array, Array, Array], Array]

OFF = 1e-3


def _counted(count: Callable[[int], int]) -> Callable[[Array, float], Moments]:
    """The right sums, divided by ``count(samples)``."""

    def wrong(x: Array, epsilon: float) -> Moments:
        rows = by_sample(x).astype(np.float64)
        divisor = count(len(rows)) or 1
        mean = rows.sum(0) / divisor
        var = ((rows - mean) ** 2).sum(0) / divisor
        return mean, var, 1 / np.sqrt(var + epsilon)

    return wrong


def _of_some(choose: Callable[[Array], Array]) -> Callable[[Array, float], Moments]:
    """The statistics of ``choose(rows)``, where rows are (samples, F)."""
    return lambda x, epsilon: statistics(choose(by_sample(x))[:, :, None], epsilon)


def _sum_of_some(choose: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda values: total(choose(by_sample(values))[:, :, None])


def _blocks_without_their_means(x: Array, epsilon: float) -> Moments:
    """Squares about each block's own mean; what the means differ by is left out."""
    rows = by_sample(x).astype(np.float64)
    blocks = [rows[first : first + 256] for first in range(0, len(rows), 256)]
    var = np.sum([((block - block.mean(0)) ** 2).sum(0) for block in blocks], axis=0) / len(rows)
    return rows.mean(0), var, 1 / np.sqrt(var + epsilon)


def _mean_of_means(x: Array, epsilon: float) -> Moments:
    _, var, inv_std = statistics(x, epsilon)
    rows = by_sample(x).astype(np.float64)
    return np.mean([rows[first : first + 2048].mean(0) for first in range(0, len(rows), 2048)], axis=0), var, inv_std


def _tree(values: Array) -> Array:
    """A sum of halves, which forgets the odd sample of each level."""
    rows = by_sample(values).astype(np.float64)
    while len(rows) > 1:
        half = len(rows) // 2
        rows = rows[:half] + rows[half : 2 * half]
    return np.asarray(rows[0])


def _first_block_twice(values: Array) -> Array:
    rows = by_sample(values)
    return np.asarray(rows.sum(0, dtype=np.float64) + rows[:512].sum(0, dtype=np.float64))


def _without_epsilon(x: Array, epsilon: float) -> Moments:
    mean, var, _ = statistics(x, epsilon)
    return mean, var, 1 / np.sqrt(var)


def _of_two(x: Array, epsilon: float) -> Moments:
    mean, var, _ = statistics(x, epsilon)
    return mean, 2 * var, 1 / np.sqrt(2 * var + epsilon)


def _changed_y(change: Callable[[Array, Array], None]) -> Affine:
    """The right y, then ``change(y, beta)`` in place."""

    def wrong(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
        y = affine(centred, inv_std, gamma, beta)
        change(y, beta)
        return y

    return wrong


def _no_beta_at_odd_positions(y: Array, beta: Array) -> None:
    y[:, :, 1::2] -= beta


def _no_beta(y: Array, beta: Array) -> None:
    y -= beta


def _zero_past_feature_32767(y: Array, beta: Array) -> None:
    y[:, 32767:] = 0


def _zero_past_position_65535(y: Array, beta: Array) -> None:
    y[:, :, 65535:] = 0


def _gamma_along_items(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    return affine(centred, inv_std, gamma[:, :, None], beta)


def _gamma_along_inner(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    return affine(centred, inv_std, gamma[:, 0], beta)


def _raw(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    return np.asarray(centred + 1) * gamma + beta


def _lanes_shared(t: Terms) -> Array:
    """Features 64 apart add to one lane."""
    found = t.sum_dy.copy()
    found[64:] += OFF * t.sum_dy[:-64]
    return found


def _zero_from(place: Callable[[int], int]) -> Callable[[Array], Array]:
    def changed(values: Array) -> Array:
        values = values.copy()
        values[place(len(values)) :] = 0
        return values

    return changed


def _multiple(of: int) -> Callable[[int], int]:
    return lambda count: count // of * of


def _last_feature_masked(t: Terms) -> Array:
    value = dx(t)
    value[:, -1] = 0
    return value


def _without_mean_term(t: Terms) -> Array:
    return dx(t._replace(mean_dy=np.zeros_like(t.mean_dy)))


def _without_x_hat_term(t: Terms) -> Array:
    return dx(t._replace(slope=np.zeros_like(t.slope)))


def _without_gamma(t: Terms) -> Array:
    return dx(t._replace(gamma=np.ones_like(t.gamma)))


def _float16_count(t: Terms) -> Array:
    """A count in float16, to which 1 is added: 2,048 + 1 is 2,048."""
    share = t.samples / min(t.samples, 2048)
    return dx(t._replace(mean_dy=t.mean_dy * share, slope=t.slope * share))


def _bessel(t: Terms) -> Array:
    share = t.samples / max(t.samples - 1, 1)
    return dx(t._replace(mean_dy=t.mean_dy * share, slope=t.slope * share))


def _path(name: str, about: str, kind: Kind, when: Shape, steps: Steps, case: str) -> Mutant:
    """A fault in ``steps``, which shapes (N, F, S) take where ``when`` says so."""

    def applies(array: Array) -> bool:
        return when(*array.shape)

    return hidden(name, about, kind, lambda: on_path(applies, build(steps)), case)


INNER = (
    _path(
        "inner-even",
        "drops beta at every second inner position, where inner is even",
        "y",
        lambda n, f, s: s % 2 == 0,
        Steps(affine=_changed_y(_no_beta_at_odd_positions)),
        "6x7x4/channels-first/float32/eps=1e-05",
    ),
    _path(
        "inner-multiple-of-4",
        "drops gamma from dx, where inner is a multiple of 4",
        "dx",
        lambda n, f, s: s % 4 == 0,
        Steps(dx=_without_gamma),
        "6x7x4/channels-first/float32/eps=1e-05",
    ),
    _path(
        "inner-multiple-of-8",
        "drops the x_hat term of dx, where inner is a multiple of 8",
        "dx",
        lambda n, f, s: s % 8 == 0,
        Steps(dx=_without_x_hat_term),
        "5x6x16/channels-first/float32/eps=1e-05",
    ),
    _path(
        "inner-multiple-of-64",
        "ignores epsilon, where inner is a multiple of 64",
        "statistics",
        lambda n, f, s: s % 64 == 0,
        Steps(statistics=_without_epsilon),
        "6x5x8x8/channels-first/float64/eps=1e-05",
    ),
    _path(
        "inner-tail-of-16",
        "leaves the inner positions after the last multiple of 16 out of the sums of dy",
        "dx",
        lambda n, f, s: s > 16,
        Steps(total=lambda values: total(values[:, :, : values.shape[2] // 16 * 16])),
        "4x8x14x14/channels-first/float32/eps=1e-05",
    ),
    _path(
        "inner-above-65535",
        "leaves y at 0 after 65,535 inner positions",
        "y",
        lambda n, f, s: s > 65535,
        Steps(affine=_changed_y(_zero_past_position_65535)),
        "1x3x70000/channels-first/float32/eps=1e-05",
    ),
    _path(
        "inner-equals-features",
        "multiplies by gamma along the inner axis, where that is as long as the features",
        "y",
        lambda n, f, s: s == f,
        Steps(affine=_gamma_along_inner),
        "3x9x3x3/channels-first/float64/eps=1e-05",
    ),
)
FEATURES = (
    _path(
        "items-equal-features",
        "multiplies by gamma along the items, where there are as many as features",
        "y",
        lambda n, f, s: n == f,
        Steps(affine=_gamma_along_items),
        "7x7/per-activation/float64/eps=1e-05",
    ),
    _path(
        "features-power-of-two",
        "gives each feature the dgamma of the one before, where the features are 16, 32, 64 …",
        "dgamma, dbeta",
        lambda n, f, s: f >= 16 and f & (f - 1) == 0,
        Steps(dgamma=lambda t: np.roll(t.sum_dy_x_hat, 1)),
        "5x64x9/channels-first/float64/eps=0.001",
    ),
    _path(
        "features-multiple-of-32",
        "drops the mean term of dx, where the features are a multiple of 32",
        "dx",
        lambda n, f, s: f % 32 == 0,
        Steps(dx=_without_mean_term),
        "5x96/per-activation/float64/eps=0.001",
    ),
    _path(
        "features-64-apart",
        "adds 0.1 % of the dbeta of the feature 64 before",
        "dgamma, dbeta",
        lambda n, f, s: f > 64,
        Steps(dbeta=_lanes_shared),
        "16x100x6/channels-first/float64/eps=1e-05",
    ),
    _path(
        "features-tail-of-8",
        "leaves dgamma at 0 in the features after the last multiple of 8",
        "dgamma, dbeta",
        lambda n, f, s: f > 8,
        Steps(dgamma=lambda t: _zero_from(_multiple(8))(t.sum_dy_x_hat)),
        "9x12x5/channels-first/float32/eps=1e-05",
    ),
    _path(
        "features-three-over-4",
        "masks one feature too many, where a multiple of 4 leaves 3 over",
        "dx",
        lambda n, f, s: f % 4 == 3,
        Steps(dx=_last_feature_masked),
        "300x7/per-activation/float32/eps=1e-05",
    ),
    _path(
        "features-above-32767",
        "leaves y at 0 after 32,767 features",
        "y",
        lambda n, f, s: f > 32767,
        Steps(affine=_changed_y(_zero_past_feature_32767)),
        "4x40000/per-activation/float64/eps=1e-05",
    ),
    _path(
        "features-above-65535",
        "leaves dbeta at 0 after 65,535 features",
        "dgamma, dbeta",
        lambda n, f, s: f > 65535,
        Steps(dbeta=lambda t: _zero_from(lambda count: 65535)(t.sum_dy)),
        "4x70000/per-activation/float32/eps=1e-05",
    ),
)
SAMPLES = (
    _path(
        "one-item",
        "drops beta for a batch of one item",
        "y",
        lambda n, f, s: n == 1 and s > 1,
        Steps(affine=_changed_y(_no_beta)),
        "1x6x16/channels-first/float32/eps=1",
    ),
    _path(
        "one-sample",
        "adds 1 to x_hat, where a feature has one sample",
        "y",
        lambda n, f, s: n * s == 1,
        Steps(affine=_raw),
        "1x9/per-activation/float32/eps=1e-05",
    ),
    _path(
        "two-samples",
        "takes half the square of the difference for the variance of two samples",
        "statistics",
        lambda n, f, s: n * s == 2,
        Steps(statistics=_of_two),
        "2x8/per-activation/float64/eps=0.001",
    ),
    _path(
        "samples-above-128",
        "drops the odd sample of each level of a tree, above 128 samples",
        "dx",
        lambda n, f, s: n * s > 128,
        Steps(total=_tree),
        "300x7/per-activation/float32/eps=1e-05",
    ),
    _path(
        "samples-above-255",
        "counts the samples in one byte",
        "statistics",
        lambda n, f, s: n * s > 255,
        Steps(statistics=_counted(lambda samples: samples % 256)),
        "300x7/per-activation/float32/eps=1e-05",
    ),
    _path(
        "samples-above-256",
        "merges blocks of 256 samples without the squares of what their means differ by",
        "statistics",
        lambda n, f, s: n * s > 256,
        Steps(statistics=_blocks_without_their_means),
        "1500x4/channels-last/float64/eps=1e-05",
    ),
    _path(
        "samples-above-512",
        "leaves the samples after the last multiple of 512 out of the statistics",
        "statistics",
        lambda n, f, s: n * s > 512,
        Steps(statistics=_of_some(lambda rows: rows[: len(rows) // 512 * 512])),
        "600x5/channels-last/float64/eps=1e-05",
    ),
    _path(
        "samples-above-1024",
        "sums dy over the first 1,024 samples alone",
        "dx",
        lambda n, f, s: n * s > 1024,
        Steps(total=_sum_of_some(lambda rows: rows[:1024])),
        "1500x4/channels-last/float64/eps=1e-05",
    ),
    _path(
        "samples-above-2048",
        "takes the mean of the means of blocks of 2,048 samples, the last of which is shorter",
        "statistics",
        lambda n, f, s: n * s > 2048,
        Steps(statistics=_mean_of_means),
        "5000x4/channels-last/float32/eps=1e-05",
    ),
    _path(
        "samples-counted-in-float16",
        "counts the samples in float16, which stops at 2,048",
        "dx",
        lambda n, f, s: n * s > 2048,
        Steps(dx=_float16_count),
        "5000x4/channels-last/float32/eps=1e-05",
    ),
    _path(
        "samples-above-4096",
        "adds the first block of dy twice, above 4,096 samples",
        "dx",
        lambda n, f, s: n * s > 4096,
        Steps(total=_first_block_twice),
        "5000x4/channels-last/float32/eps=1e-05",
    ),
    _path(
        "samples-above-32767",
        "counts the samples in 16 bits, with a sign",
        "statistics",
        lambda n, f, s: n * s > 32767,
        Steps(statistics=_counted(lambda samples: (samples + 32768) % 65536 - 32768)),
        "40000x2/channels-last/float64/eps=1e-05",
    ),
)
ELEMENTS = (
    _path(
        "elements-above-32768",
        "divides by N - 1 in backward, above 32,768 elements",
        "dx",
        lambda n, f, s: n * f * s > 32768,
        Steps(dx=_bessel),
        "4x64x14x14/channels-first/float32/eps=1e-05",
    ),
    _path(
        "elements-above-1000000",
        "drops the mean term of dx, above 1,000,000 elements",
        "dx",
        lambda n, f, s: n * f * s > 1_000_000,
        Steps(dx=_without_mean_term),
        "8x140000/per-activation/float64/eps=1e-05",
    ),
)

MUTANTS = (*INNER, *FEATURES, *SAMPLES, *ELEMENTS)
