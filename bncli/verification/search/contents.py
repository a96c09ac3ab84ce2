"""What the arrays of a case hold: words that change normal numbers, one after another.

Wherever it stands, ``xV`` multiplies by V. In ``data``, ``+V`` adds V, of either sign from feature to feature.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import Case, complete, draw_beta, draw_gamma
from bncli.core.layout import Layout
from bncli.core.problem import Problem, finfo
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

NORMAL, DRAWN = "normal", "drawn"
NONE = "none"  # in place of gamma or beta: a gamma of 1 and a beta of 0 are expected
DEFAULTS = {"data": NORMAL, "gamma": DRAWN, "beta": DRAWN, "dy": DRAWN}
OUTLIER = 1e4
NOT_FINITE = {"nan": np.nan, "inf": np.inf}

_NUMBER = r"\d+(\.\d+)?(e[+-]?\d{1,3})?"
_TIMES = re.compile(f"x({_NUMBER})", re.ASCII)
_PLUS = re.compile(rf"\+({_NUMBER})", re.ASCII)
_DECADES = re.compile(r"decades-(\d{1,2})", re.ASCII)

Change = Callable[["Array", np.random.Generator], "Array"]


def _constant(x: Array, rng: np.random.Generator) -> Array:
    return np.broadcast_to(x[:1, :, :1], x.shape).copy()


def _nearly_constant(x: Array, rng: np.random.Generator) -> Array:
    """Each feature at a value of its own, and a few roundings about it."""
    return np.asarray(_constant(x, rng) * (1 + rng.integers(-4, 5, x.shape) * finfo(x.dtype.name).eps), x.dtype)


def _grid(x: Array, rng: np.random.Generator) -> Array:
    """Whole numbers from 0 to 255, as in images."""
    return np.asarray(np.clip(np.rint(x * 50 + 128), 0, 255), x.dtype)


def _at_one_sample(place: str) -> Change:
    """An outlier at the ``first`` sample, the ``last``, or any but the first."""

    def change(x: Array, rng: np.random.Generator) -> Array:
        outer, features, inner = x.shape
        last = outer * inner - 1
        sample = {"first": 0, "last": last}.get(place, int(rng.integers(min(1, last), last + 1)))
        x[sample // inner, :, sample % inner] = OUTLIER * np.where(rng.random(features) < 0.5, -1, 1)
        return x

    return change


def _subnormal(x: Array, rng: np.random.Generator) -> Array:
    """About a sixteenth of the smallest normal number."""
    return np.asarray(x * x.dtype.type(float(finfo(x.dtype.name).smallest_normal) / 16))


def _unchanged(x: Array, rng: np.random.Generator) -> Array:
    return x


def _one_zero(x: Array, rng: np.random.Generator) -> Array:
    x[rng.integers(0, x.size)] = 0
    return x


WORDS: dict[str, dict[str, Change]] = {
    "data": {
        NORMAL: _unchanged,
        "outlier": _at_one_sample("later"),
        "outlier-first": _at_one_sample("first"),
        "outlier-last": _at_one_sample("last"),
        "constant": _constant,
        "nearly-constant": _nearly_constant,
        "grid": _grid,
        "subnormal": _subnormal,
        "skewed": lambda x, rng: np.exp(x),
        **dict.fromkeys(NOT_FINITE, _unchanged),  # put in at the end, when dy has been drawn
    },
    "gamma": {
        DRAWN: _unchanged,
        "ones": lambda x, rng: np.ones_like(x),
        "zeros": lambda x, rng: np.zeros_like(x),
        "one-zero": _one_zero,
        "negative": lambda x, rng: -np.abs(x),
        "positive": lambda x, rng: np.abs(x),
        NONE: lambda x, rng: np.ones_like(x),
    },
    "beta": {
        DRAWN: _unchanged,
        "zeros": lambda x, rng: np.zeros_like(x),
        NONE: lambda x, rng: np.zeros_like(x),
    },
    "dy": {
        DRAWN: _unchanged,
        "noise": lambda x, rng: rng.standard_normal(x.shape, x.dtype),
        "no-mean": lambda x, rng: x - x.mean((0, 2), keepdims=True),
    },
}


def require(name: str, text: str) -> None:
    """Raise InputError where ``text`` holds a word that the array ``name`` does not know."""
    words = text.split(",")
    if NONE in words and len(words) > 1:
        raise InputError(f"cannot read {name}={text}: nothing can be added to {NONE}")
    for word in words:
        if _change(name, word) is None:
            also = "xV, +V and decades-K" if name == "data" else "xV"
            raise InputError(f"cannot read {word!r} in {name}={text}: use {', '.join(WORDS[name])}, {also}")


def make(problem: Problem, words: dict[str, str], seed: int) -> Case:
    """The case whose arrays, canonical and read-only, hold what ``words`` say: data, gamma, beta and dy.

    Values that the problem's dtype cannot hold are cut off at half of its largest.
    """
    wide = np.float64 if problem.dtype == "float64" else np.float32
    rng = np.random.default_rng((seed, 0x5EA))
    canonical = replace(problem, shape=problem.canonical_shape, layout=Layout.CHANNELS_FIRST)
    x = _held(_changed("data", words["data"], rng.standard_normal(canonical.shape, wide), rng), problem.dtype)
    own = {
        name: _held(_changed(name, words[name], draw(problem.features, seed), rng), problem.dtype_of(name))
        for name, draw in (("gamma", draw_gamma), ("beta", draw_beta))
    }
    dy = _changed("dy", words["dy"], complete(canonical, {"x": x, **own}, seed).dy.astype(wide), rng)
    for word in words["data"].split(","):
        if word in NOT_FINITE:
            x[-1, problem.features // 2, 0] = NOT_FINITE[word]
    return complete(problem, {"x": x, **own, "dy": _held(dy, problem.dtype)}, seed)


def _held(array: Array, dtype: str) -> Array:
    most = float(finfo(dtype).max) / 2
    return np.clip(array, -most, most).astype(dtype)


def _changed(name: str, text: str, array: Array, rng: np.random.Generator) -> Array:
    with np.errstate(all="ignore"):
        for word in text.split(","):
            change = _change(name, word)
            assert change is not None  # for the type checker: require() has looked
            array = change(array, rng)
    return array


def _change(name: str, word: str) -> Change | None:
    if word in WORDS[name]:
        return WORDS[name][word]
    if times := _TIMES.fullmatch(word):
        return partial(_times, float(times[1]))
    if name == "data" and (plus := _PLUS.fullmatch(word)):
        return partial(_plus, float(plus[1]))
    if name == "data" and (decades := _DECADES.fullmatch(word)):
        return partial(_decades, int(decades[1]))
    return None


def _times(factor: float, x: Array, rng: np.random.Generator) -> Array:
    return np.asarray(x * x.dtype.type(factor))


def _plus(offset: float, x: Array, rng: np.random.Generator) -> Array:
    signs = rng.choice((-1.0, 1.0), x.shape[1])
    return np.asarray(x + np.multiply(offset, signs[:, None]).astype(x.dtype))


def _decades(most: int, x: Array, rng: np.random.Generator) -> Array:
    return np.asarray(x * np.power(10.0, rng.uniform(-most, most, (x.shape[1], 1))).astype(x.dtype))
