"""Sentences and numbers of an explanation."""

from collections.abc import Sequence
from math import ceil, floor, isfinite, log10

from bncli.verification._diagnosis.facts import Facts

LONG = 1e9  # larger values are written with an exponent
MOST_DIGITS = 17  # of a float64


def state(says: str, facts: Facts, it: str = "", times: str = "", whole: bool = False) -> str:
    """``says`` with the fields that ``quantities`` lists: ``times`` fills {ratio}; ``whole``: ``it`` is the array."""
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
    """``value`` as it stands before "what it should be": "2 times", "0.5 of"."""
    return f"{number(value, error)} {'of' if 0 < value < 1 else 'times'}"


def number(value: float, error: float = 0.0) -> str:
    """``value`` with three significant digits, but none finer than ``error``.

    Close to 1 or -1, the three digits are those of the difference. Whole numbers without an error are written out.
    """
    if value == 0 or not isfinite(value) or (not error and value.is_integer() and abs(value) < LONG):
        return f"{value:,.0f}"
    from_one = abs(abs(value) - 1)
    places = 2 - floor(log10(from_one if 0 < from_one < 0.1 else abs(value)))
    if error > 0:
        places = min(places, ceil(-log10(error)))
    value = round(value, places)
    if not 1e-3 <= abs(value) < LONG:
        return f"{value:.3g}"
    text = f"{value:,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def distinct(first: float, second: float, digits: int = 6) -> tuple[str, str]:
    """Two numbers with so many significant ``digits``, or as many more as it takes to show their difference."""
    for enough in range(digits, MOST_DIGITS + 1):
        if f"{first:.{enough}g}" != f"{second:.{enough}g}":
            # One digit beyond the first that differs, if more than ``digits`` are needed.
            digits = enough + (enough > digits)
            break
    one, other = (f"{value + 0:.{digits}g}" for value in (first, second))
    return one, other


def listing(names: Sequence[str]) -> str:
    """ "dx", "dx and dgamma", or "dx, dgamma and dbeta"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def verb(names: Sequence[str], plural: str) -> str:
    """``plural``, "are" or a regular verb, as it stands after ``names``."""
    if len(names) != 1:
        return plural
    return "is" if plural == "are" else f"{plural}s"
