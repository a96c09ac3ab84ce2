"""Values as text: three or four digits, and a unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bncli.core.report import Kind

NOTHING = "–"
INTERVALS = ("ratio", "seconds", "times")  # kinds whose values may have an interval
UNRELIABLE = 2.0  # an interval that spans more than this factor is shown in place of its value
BARS = " ▁▂▃▄▅▆▇█"

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def text(value: Any, kind: Kind = "text") -> str:
    """``value``, stored in SI units, as a table shows it; ``bytes/s`` as GB/s, without the unit."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if kind == "histogram":
        return _bars(value)
    if kind in INTERVALS and _is_interval(value):
        return _with_interval(kind, *value)
    if isinstance(value, Sequence):
        return "(" + ", ".join(map(str, value)) + ")"
    if not math.isfinite(value):
        return str(value)
    match kind:
        case "seconds":
            return _scaled(value, _TIMES)
        case "bytes":
            return _scaled(value, _BYTES)
        case "bytes/s":
            return _plain(value / 1e9, 3)
        case "times":
            return f"{_plain(value, 3)}×"
        case "percent":
            return f"{100 * value:.1f} %"
        case "digits":
            return f"{value:.1f}"
        case "error":
            return _short(value, 2)
        case "number":
            return _short(value, 4)
        case _:
            return f"{value:,}"


def _bars(counts: Sequence[int]) -> str:
    """One bar per count: the largest is full, and a count above 0 has at least the lowest bar."""
    most = max(counts, default=0)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in counts) if most else NOTHING


def printable(value: str) -> str:
    """``value`` with control characters, which could steer a terminal, made visible."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def is_unreliable(value: Any) -> bool:
    """Whether ``value`` is a value and the ends of its interval, which spans more than a factor of ``UNRELIABLE``."""
    return _is_interval(value) and bool(value[2] > UNRELIABLE * value[1])


def _is_interval(value: Any) -> bool:
    """Whether ``value`` is three numbers; a saved file may give a column any value."""
    if not isinstance(value, Sequence) or len(value) != 3:
        return False
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)


def _with_interval(kind: Kind, value: float, low: float, high: float) -> str:
    """From–to if that is ``UNRELIABLE``; else the value, and for a ratio ± the longer side of its interval."""
    if is_unreliable((value, low, high)):
        return _from_to(text(low, kind), text(high, kind)) if kind == "seconds" else f"{_ends(low, high)}×"
    return _ratio(value, low, high) if kind == "ratio" else text(value, kind)


def _from_to(low: str, high: str) -> str:
    """Two numbers with their units; an equal unit stands once."""
    number, _, unit = low.partition(" ")
    return f"{number}–{high}" if high.endswith(f" {unit}") else f"{low}–{high}"


def _ends(low: float, high: float) -> str:
    return f"{_short(low, 2)}–{_short(high, 2)}"


def _ratio(value: float, low: float, high: float) -> str:
    """The interval as ± its longer side, with as many decimals as the value; without ± if it has no width."""
    if value < 0.01:
        return f"{_short(value, 2)}×"
    shown = _plain(value, 3 if round(value, 2) >= 1 else 2)
    half = max(high - value, value - low)
    decimals = len(shown.partition(".")[2]) if half < 10 else 0
    return f"{shown}× ±{half:.{decimals}f}" if low < high else f"{shown}×"


def shortened(value: str, most: int) -> str:
    """``value`` in at most ``most`` characters; a longer one loses its middle."""
    return value if len(value) <= most else f"{value[: most // 2 - 1]}…{value[-(most // 2) :]}"


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    scale, unit = next(((scale, unit) for scale, unit in units if value >= scale), units[-1])
    return f"{_plain(value / scale, 3)} {unit}"


def _short(value: float, digits: int) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return _plain(value, digits)
    mantissa, exponent = f"{value:.{max(digits - 2, 1)}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _plain(value: float, digits: int) -> str:
    """``value`` to so many significant digits, without an exponent."""
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"
