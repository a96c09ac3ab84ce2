"""How the arrays of a case lie in memory: the values stay, the strides and the address change.

Memory between the values, and after them, is NaN: a kernel that reads it gives NaN.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_COMMA = re.compile(r",(?![^\[]*\])")  # but for those within brackets

CONTIGUOUS, READ_ONLY, OUT = "contiguous", "read-only", "out"


def _every_second(array: Array) -> Array:
    return _room(array, (2 * array.shape[0], *array.shape[1:]))[::2]


def _every_second_inner(array: Array) -> Array:
    return _room(array, (*array.shape[:-1], 2 * array.shape[-1]))[..., ::2]


def _reversed(array: Array) -> Array:
    """From the last to the first; room for as much follows, where a kernel that ignores strides reads."""
    return _room(array, (2 * array.shape[0], *array.shape[1:]))[: array.shape[0]][::-1]


def _fortran(array: Array) -> Array:
    return np.empty(array.shape, array.dtype, order="F")


def _channels_last(array: Array) -> Array:
    outer, features, inner = array.shape
    return np.empty((outer, inner, features), array.dtype).transpose(0, 2, 1)


def _misaligned(array: Array) -> Array:
    """Away from the start of its memory by one item, so that no vector of several is aligned."""
    return _room(array, (array.size + 1,))[1:].reshape(array.shape)


def _room(array: Array, shape: tuple[int, ...]) -> Array:
    return np.full(shape, np.nan, array.dtype)


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "[::2]": _every_second,
    "[...,::2]": _every_second_inner,
    "[::-1]": _reversed,
    ":fortran": _fortran,
    ":channels-last": _channels_last,
    ":misaligned": _misaligned,
}
OF_FEATURES = ("[::2]", "[::-1]", ":misaligned")
DENSE = (":misaligned",)
WORDS = {
    **{f"{name}{layout}": (name, layout) for name in ("x", "dy") for layout in LAYOUTS},
    **{f"{name}{layout}": (name, layout) for name in ("gamma", "beta") for layout in OF_FEATURES},
}
FLAGS = (CONTIGUOUS, READ_ONLY, OUT)
# In inference the statistics lie as the parameters do.
LIKE = {"x": "x", "dy": "dy", "gamma": "gamma", "beta": "beta", "mean": "gamma", "var": "beta"}


def words(text: str) -> list[str]:
    """The words of ``text``, which has commas between them."""
    return _COMMA.split(text)


def require(text: str) -> None:
    """Raise InputError where ``text`` holds an unknown word."""
    for word in words(text):
        if word not in WORDS and word not in FLAGS:
            raise InputError(f"cannot read {word!r} in memory={text}: use {', '.join((*FLAGS, *WORDS))}")


def refusable(text: str) -> bool:
    """Whether some array is not contiguous, which a kernel may refuse."""
    return any(word in WORDS and WORDS[word][1] not in DENSE for word in words(text))


def differs(text: str, shape: tuple[int, int, int]) -> bool:
    """Whether every array of ``text`` lies otherwise than a contiguous one, for x of this (N, F, S)."""
    return all(word not in WORDS or _differs(WORDS[word], shape) for word in words(text))


def _differs(word: tuple[str, str], shape: tuple[int, int, int]) -> bool:
    name, layout = word
    outer, features, inner = shape
    if layout == ":fortran":
        return sum(length > 1 for length in shape) > 1
    if layout == ":channels-last":
        return min(features, inner) > 1
    return layout not in ("[::2]", "[::-1]") or (features if name in ("gamma", "beta") else outer) > 1


def asks(text: str, flag: str) -> bool:
    """Whether ``flag``, READ_ONLY or OUT, is among the words."""
    return flag in words(text)


def place(name: str, array: Array, text: str) -> Array:
    """A writable copy of ``array``, which is the array ``name`` of a case, that lies as ``text`` says."""
    for word in words(text):
        if word in WORDS and WORDS[word][0] == LIKE[name]:
            placed = LAYOUTS[WORDS[word][1]](array)
            break
    else:
        placed = np.empty(array.shape, array.dtype)
    placed[...] = array
    return placed


def shown(array: Array, text: str) -> Array:
    """What the kernel is given of a placed ``array``: itself, or a view that it cannot write to."""
    if not asks(text, READ_ONLY):
        return array
    view = array.view()
    view.flags.writeable = False
    return view
