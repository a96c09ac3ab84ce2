"""How a finding is put into words."""

from math import ceil, floor, isfinite, log10

from bncli.verification._diagnosis.facts import Facts

LONG = 1e9  # what is larger is written with an exponent


def state(says: str, facts: Facts, it: str = "", times: str = "", whole: bool = False) -> str:
    """The sentence ``says`` of ``it``, ``times`` what it should be; ``whole`` where that is the whole array."""
    return says.format(
        it=it,
        in_it="" if whole else f" in {it}",
        ratio=times,
        samples=f"{facts.samples:,}",
        fewer=f"{facts.samples - 1:,}",
        features=f"{facts.features:,}",
        batch=f"{facts.batch:,}",
        spatial=f"{facts.spatial:,}",
    )


def ratio(value: float, error: float = 0.0) -> str:
    """``value`` before "what it should be"."""
    return f"{number(value, error)} {'of' if 0 < value < 1 else 'times'}"


def number(value: float, error: float = 0.0) -> str:
    """Three digits, or three of what tells its size from 1 where that is close, as far as ``error`` lets them be known.

    Counts, without an error, in full.
    """
    if value == 0 or not isfinite(value) or (not error and value.is_integer() and abs(value) < LONG):
        return f"{value:,.0f}"
    apart = abs(abs(value) - 1)
    places = 2 - floor(log10(apart if 0 < apart < 0.1 else abs(value)))
    if error > 0:
        places = min(places, ceil(-log10(error)))
    value = round(value, places)
    if not 1e-3 <= abs(value) < LONG:
        return f"{value:.3g}"
    text = f"{value:,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
