"""The position of a value on an axis, and the values at which the axis has ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bncli.core.chart import Axis
from bncli.core.units import text

MARGIN = 0.04  # of the axis, before the least value and after the greatest
MOST_TICKS, MOST_LONG = 7, 5  # ticks with short and with long labels
LEAST_SPAN = 0.02  # margin relative to the value, if all values are the same
STEPS = (1, 2, 5)
LOWEST, HIGHEST = 1e-140, 1e140  # so that a float holds their ratio, margins included


@dataclass(frozen=True)
class Scale:
    """An axis from ``low`` to ``high``, with values written at ``ticks``."""

    axis: Axis
    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, axis: Axis, values: Iterable[float]) -> "Scale":
        """The axis that holds all of ``values`` that can be shown."""
        usable = [v for v in values if abs(v) <= HIGHEST and (v >= LOWEST if axis.logarithmic else True)]
        least, most = (min(usable), max(usable)) if usable else (1.0, 10.0)
        if axis.logarithmic:
            low, high = _widened(math.log10(least), math.log10(most), math.log10(1 + LEAST_SPAN))
            low, high = 10**low, 10**high
            return cls(axis, low, high, _powers_of_two(low, high) if axis.kind == "bytes" else _decades(low, high))
        low, high = _widened(min(least, 0.0), max(most, 1.0), LEAST_SPAN)
        return cls(axis, low, high, _multiples(low, high))

    def clamped(self, value: float) -> float:
        """``value``, moved to the nearest end of the axis if it lies outside."""
        return min(max(value, self.low), self.high)

    def share(self, value: float) -> float:
        """The position of ``value``, from 0 at ``low`` to 1 at ``high``; clamped to these."""
        inside = self.clamped(value)
        if self.axis.logarithmic:
            return math.log(inside / self.low) / math.log(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)

    def labels(self) -> list[str]:
        """The text at each tick."""
        return [label(tick, self.axis) for tick in self.ticks]


def label(value: float, axis: Axis) -> str:
    """A tick's value without the zeros that a table would show: ``10 µs``, ``1.5×``, ``1e-16``."""
    number, _, unit = text(float(value), axis.kind).partition(" ")
    sign = "×" if number.endswith("×") else ""
    number = number.removesuffix("×")
    mantissa, e, exponent = number.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    unit = "GB/s" if axis.kind == "bytes/s" else unit
    return f"{mantissa}{e}{exponent}{sign}{' ' if unit else ''}{unit}"


def _widened(low: float, high: float, least: float) -> tuple[float, float]:
    margin = max((high - low) * MARGIN, least)
    return low - margin, high + margin


def _decades(low: float, high: float) -> tuple[float, ...]:
    """Powers of ten; over less than two decades also 2 and 5 times these; over less than half a decade even steps."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if math.log10(high / low) < 0.5:
        return _multiples(low, high)
    if last - first < 2:
        return tuple(v for e in range(first - 1, last + 1) for s in STEPS if low <= (v := s * 10.0**e) <= high)
    every = math.ceil((last - first + 1) / MOST_TICKS)
    return tuple(10.0**e for e in range(first, last + 1) if e % every == 0)


def _powers_of_two(low: float, high: float) -> tuple[float, ...]:
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    every = max(1, math.ceil((last - first + 1) / MOST_LONG))
    return tuple(2.0**e for e in range(first, last + 1) if e % every == 0)


def _multiples(low: float, high: float) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / (MOST_TICKS - 2)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (*STEPS, 10) if s * power >= rough * (1 - 1e-9))
    return tuple(n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1))
