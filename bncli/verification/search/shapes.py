"""Shapes around which kernels change their path."""

from __future__ import annotations

from random import Random

FIRST, LARGEST, SLOPE = 8.0, 21.3, 18.0  # binary logarithms of elements, and cases from one to the next
FULL = 150  # cases from one of the largest to the next
STEPS = (
    4, 8, 12, 16, 24, 32, 48, 64, 96, 100, 128, 192, 200, 256, 300, 384, 400, 512, 768, 1000, 1024, 1536, 2048, 3072,
    4096, 8192, 10000, 16384, 32768, 65536, 100000, 131072,
)  # fmt: skip
OFFSETS = (0, 0, 0, 0, -1, 1, 1, -2, 2, 3, 7)
PRIMES = (11, 13, 31, 61, 127, 251, 509, 1021, 2039, 8191, 65537)


def exponent(rng: Random, i: int) -> float:
    """The binary logarithm of the elements of drawn case ``i``: most are small, the largest grow with ``i``."""
    most = min(LARGEST, FIRST + i / SLOPE)
    if i % FULL == FULL - 1:
        return most
    return 3 + (most - 3) * rng.random() ** 2


def draw(rng: Random, size: float) -> tuple[int, int, int]:
    """(N, F, S) of about 2 ** ``size`` elements."""
    most = max(2, round(2**size))
    axes = [_axis(rng, most)]
    axes.append(_axis(rng, max(1, most // axes[0])))
    axes.append(_axis(rng, max(1, most // (axes[0] * axes[1]))))
    rng.shuffle(axes)
    outer, features, inner = axes
    kind = rng.random()
    if kind < 0.35:
        outer, inner = outer * inner, 1
    elif kind < 0.40:
        features = 1
    elif kind < 0.45:
        outer = 1
    elif kind < 0.47:
        return 1, features, 1
    elif kind < 0.57 and outer**2 * inner <= most * 2:
        features = outer
    elif kind < 0.64 and outer * inner**2 <= most * 2:
        features = inner
    elif kind < 0.68 and outer**2 * features <= most * 2:
        inner = outer
    if outer * inner == 1:  # which shows little, and is drawn above
        outer = rng.randint(2, 9)
    return outer, features, inner


def _axis(rng: Random, most: int) -> int:
    kind = rng.random()
    if kind < 0.3:
        n = rng.randint(1, 9)
    elif kind < 0.8:
        fitting = [step for step in STEPS if step <= most] or [1]
        n = rng.choice(fitting) * rng.choice((1, 1, 1, 2, 3)) + rng.choice(OFFSETS)
    elif kind < 0.87:
        n = rng.choice(PRIMES)
    else:
        n = int(2 ** (rng.random() * 17))
    return max(1, min(n, most))
