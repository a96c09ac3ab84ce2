"""Read the settings that a user's file, module or object has next to its functions.

Each function raises InputError for a setting that is malformed.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bncli.arrays import Arrays, frameworks
from bncli.core.kernel import OWN, PARAMETERS, Kernel
from bncli.core.problem import DTYPES
from bncli.errors import InputError
from bncli.loading import views
from bncli.loading.kinds import Given

NOT_GIVEN = object()


def of_object(module: Any, name: str, spec: str, value: Any) -> Given:
    """The settings in ``module`` for its object ``value``.

    Raises InputError if one of them is malformed.
    """
    return Given(
        name=name,
        spec=spec,
        file=getattr(module, "__file__", None) or "",
        arrays=read(module, "arrays") and name_of_framework(module),
        axes=axes(module),
        dtypes=dtypes(module),
        params=params(module),
        summary=summary(getattr(value, "__doc__", None) or ""),
        optional=optional(module),
        device=device(module),
    )


def read(source: Any, name: str, default: Any = None) -> Any:
    value = getattr(source, name, default)
    # ``from numpy import *`` brings another ndim and other dtypes; a package may have a module ``arrays``.
    return default if value is getattr(np, name, NOT_GIVEN) or inspect.ismodule(value) else value


def optional(source: Any) -> tuple[str, ...] | None:
    found = read(source, "optional")
    if found is None:
        return None
    if isinstance(found, str) or not isinstance(found, Sequence) or not set(found) <= set(PARAMETERS):
        raise InputError(f"its optional is {found!r}: list {' or '.join(map(repr, PARAMETERS))}, or both")
    return tuple(found)


def axes(source: Any) -> views.Axes | None:
    """The key in ``views.VIEWS`` of what ``ndim`` or ``axes`` says; None if neither is there."""
    ndim, word = read(source, "ndim"), read(source, "axes")
    if ndim is not None and not (isinstance(ndim, int) and ndim in views.MEANING):
        meaning = ", ".join(f"{number} for {axes}" for number, axes in views.MEANING.items())
        raise InputError(f"its ndim is {ndim!r}: use {meaning}")
    if not isinstance(word, str):  # another name for something else, as pyplot's ``axes``
        return ndim
    if word not in views.WORDS:
        raise InputError(f"its axes are {word!r}: use {', '.join(map(repr, views.WORDS))}")
    if ndim not in (None, views.WORDS[word]):
        raise InputError(f"its ndim is {ndim} and its axes are {word!r}: leave one")
    return views.WORDS[word]


def name_of_framework(source: Any) -> str:
    name = read(source, "arrays", "numpy")
    if name not in frameworks():
        raise InputError(f"its arrays are {name!r}: use one of {', '.join(frameworks())}")
    return str(name)


def device(source: Any) -> str:
    device = getattr(source, "device", None) or ""
    if isinstance(device, type):  # from torch import *
        return ""
    if type(device).__name__ == "device":  # PyTorch's, which is not imported here
        device = str(device)
    if not isinstance(device, str):
        raise InputError(f'its device is {device!r}: name it as its framework does, as "cuda" or "cuda:1"')
    return "" if device.partition(":")[0] == "cpu" else device


def dtypes(source: Any) -> tuple[str, ...]:
    given = read(source, "dtypes", Kernel.dtypes)
    known = ", ".join(DTYPES)
    if not isinstance(given, (str, Sequence)) or not given:
        raise InputError(f"its dtypes are {given!r}: list one or more of {known}")
    dtypes = (given,) if isinstance(given, str) else tuple(given)
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise InputError(f"its dtypes hold {dtype!r}, which is not one of {known}")
    return dtypes


def params(source: Any) -> tuple[str, ...]:
    given = read(source, "params", Kernel.params)
    params = (given,) if isinstance(given, str) else given
    if not isinstance(params, Sequence) or not params or any(each not in (OWN, "float32") for each in params):
        raise InputError(f'its params are {given!r}: name "float32", "{OWN}" for those of x, or both')
    return tuple(params)


def summary(text: Any) -> str:
    if not isinstance(text, str):
        raise InputError(f"its summary is {text!r}, not a text")
    return text.strip().partition("\n")[0]


def availability(source: Any, arrays: Arrays, device: str) -> Callable[[], str | None]:
    """Call ``available`` once while loading, which catches its errors."""
    if lacking := arrays.available(device):
        return lambda: lacking
    available = optional_function(source, "available")
    missing = available and available()
    if not isinstance(missing, str | None):
        raise InputError(f"its available returned {missing!r}: return what is missing, or None if it can run")
    return lambda: missing or None


def optional_function(source: Any, name: str) -> Callable[..., Any] | None:
    function: Callable[..., Any] | None = read(source, name)
    if function is not None and not callable(function):
        raise InputError(f"its {name} is of type {type(function).__name__}, not a function")
    return function
