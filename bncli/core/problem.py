"""The problem: a shape, its layout, a dtype and an epsilon."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.layout import ALIASES, Layout, Shape
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
DTYPES = tuple(ITEMSIZE)
BFLOAT16 = "bfloat16"
DTYPE_ALIASES = {
    **dict.fromkeys(("fp16", "f16", "half"), "float16"),
    **dict.fromkeys(("bf16",), "bfloat16"),
    **dict.fromkeys(("fp32", "f32", "float"), "float32"),
    **dict.fromkeys(("fp64", "f64", "double"), "float64"),
}
HALF = tuple(dtype for dtype, size in ITEMSIZE.items() if size == 2)
OF_FEATURES = ("gamma", "beta", "dgamma", "dbeta")  # arrays in the parameters' dtype
OF_INFERENCE = " of inference"  # after the name of a gradient: with mean and var as constants
EPSILON = 1e-8

_COUNT = re.compile(r"\d{1,12}", re.ASCII)
_SHAPE = re.compile(r"\d{1,12}(x\d{1,12})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """A batch-normalization problem.

    Its descriptor, ``str(problem)``, is one line that ``Problem.parse`` reads back:
    ``50x64x112x112/channels-first/float32/eps=1e-05``. gamma, beta and their gradients are of ``dtype`` too;
    for x in half precision they may be float32: ``50x64x112x112/channels-first/float16/params=float32/eps=1e-05``.

    Raises InputError for a shape of fewer than two axes or an empty one, and for an
    unknown layout, an unknown dtype, other parameters, or an epsilon that is negative or not finite.
    """

    shape: Shape
    layout: Layout = Layout.PER_ACTIVATION
    dtype: str = "float64"
    epsilon: float = EPSILON
    params: str = ""  # the parameters' dtype, where it is not that of x

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if len(self.shape) < 2:
            raise InputError(
                f"shape {_join(self.shape)!r} has no feature axis: give a batch axis and one more, as 32x64"
            )
        if min(self.shape) < 1:
            raise InputError(f"shape {_join(self.shape)!r} is empty: every axis needs at least 1")
        if self.layout not in tuple(Layout):
            raise InputError(f"unknown layout {self.layout!r}: use {', '.join(Layout)}")
        object.__setattr__(self, "layout", Layout(self.layout))
        if self.dtype not in DTYPES:
            raise InputError(f"unknown dtype {self.dtype!r}: use {', '.join(DTYPES)}")
        if self.dtype == BFLOAT16:
            _ml_dtypes()
        if self.params == self.dtype:
            object.__setattr__(self, "params", "")
        if self.params and (self.params != "float32" or self.dtype not in HALF):
            raise InputError(
                f"parameters of {self.params} do not go with {self.dtype}: use float32 with half precision"
            )
        if not (self.epsilon >= 0 and math.isfinite(self.epsilon)):
            raise InputError(f"epsilon {self.epsilon!r} cannot be used: it must be finite and not negative")

    @classmethod
    def parse(cls, text: str | Problem, default: Problem | None = None) -> Problem:
        """The problem that ``text`` describes; a Problem is returned itself. ``default`` gives the missing parts.

        Raises InputError if a part is not understood.
        """
        if isinstance(text, Problem):
            return text
        shape_text, *rest = text.strip().split("/")
        if _COUNT.fullmatch(shape_text):
            raise InputError(
                f"the shape {shape_text!r} has one axis: give the batch and the features, as 32x{shape_text}"
            )
        if not _SHAPE.fullmatch(shape_text):
            raise InputError(f"cannot read the shape {shape_text!r}: {_axes_hint(shape_text)}")
        shape = tuple(int(n) for n in shape_text.split("x"))
        problem = replace(default, shape=shape) if default else cls(shape)
        for part in rest:
            if part in tuple(Layout) or part in ALIASES:
                problem = replace(problem, layout=Layout(part))
            elif (dtype := DTYPE_ALIASES.get(part, part)) in DTYPES:
                problem = replace(problem, dtype=dtype, params="")
            elif part.startswith("params="):
                problem = replace(problem, params=part.removeprefix("params="))
            elif part.startswith("eps="):
                problem = replace(problem, epsilon=_epsilon(part.removeprefix("eps=")))
            else:
                raise InputError(
                    f"cannot read {part!r} in {text!r}: a problem is written as "
                    "50x64x112x112/channels-first/float32/eps=1e-05"
                )
        return problem

    def __str__(self) -> str:
        return f"{_join(self.shape)}/{self.layout}/{self.types}/eps={self.epsilon!r}"

    @property
    def types(self) -> str:
        """The dtype of x and, where that is another, the parameters'."""
        return f"{self.dtype}/params={self.params}" if self.params else self.dtype

    def dtype_of(self, array: str) -> str:
        """The dtype of one of x, y, dx, gamma and so on, by its name."""
        return self.params or self.dtype if array.removesuffix(OF_INFERENCE) in OF_FEATURES else self.dtype

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """(outer, feature, inner), also written (N, F, S)."""
        return self.layout.canonical_shape(self.shape)

    @property
    def feature_shape(self) -> Shape:
        """The feature axes of the problem's own shape."""
        return self.layout.feature_shape(self.shape)

    @property
    def features(self) -> int:
        """F: the number of features, each with a mean and a variance."""
        return self.canonical_shape[1]

    @property
    def samples(self) -> int:
        """N * S: the number of values of each feature."""
        outer, _, inner = self.canonical_shape
        return outer * inner

    @property
    def size(self) -> int:
        """The number of values of x."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of x, and so of y, dy and dx each."""
        return self.size * ITEMSIZE[self.dtype]

    def canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """``array``, of the problem's shape, as (N, F, S); a view if it is contiguous."""
        return array.reshape(self.canonical_shape, order="C")

    def own(self, array: NDArray[Any]) -> NDArray[Any]:
        """A canonical ``array`` in the problem's own shape; an (F,) array in the shape of the feature axes."""
        return array.reshape(self.feature_shape if array.ndim == 1 else self.shape)

    def position(self, outer: int, feature: int, inner: int) -> Shape:
        """The index in the problem's own shape of the canonical element (outer, feature, inner)."""
        _, features, inners = self.canonical_shape
        flat = (outer * features + feature) * inners + inner
        index = []
        for n in reversed(self.shape):
            flat, i = divmod(flat, n)
            index.append(i)
        return tuple(reversed(index))


def statistics_dtype(dtype: str) -> str:
    """The dtype of mean and variance for inference: that of x, but float32 for half precision."""
    return "float32" if ITEMSIZE[dtype] == 2 else dtype


def wider(dtype: Any) -> np.dtype[Any]:
    """The dtype in which the reference computes arrays of ``dtype``: float64, or long double for float64."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return np.dtype(np.clongdouble)
    return np.dtype(np.float64) if dtype.itemsize <= 4 else np.dtype(np.longdouble)


def finfo(dtype: str) -> Any:
    """NumPy's ``finfo`` of a dtype, which may be bfloat16."""
    return _ml_dtypes().finfo(dtype) if dtype == BFLOAT16 else np.finfo(dtype)


def _ml_dtypes() -> Any:
    """The package ml_dtypes, which adds bfloat16 to NumPy when it is imported."""
    try:
        return import_module("ml_dtypes")
    except ImportError:
        raise InputError("bfloat16 needs the package ml_dtypes: pip install 'bncli[bfloat16]'") from None


def shared_parts(descriptors: Sequence[str]) -> tuple[list[str], str]:
    """Descriptors of problems without the parts that all share; and these shared parts. The shape is never left out."""
    parts = [descriptor.split("/") for descriptor in descriptors]
    shared = [part for part in parts[0][1:] if all(part in each[1:] for each in parts)] if parts else []
    return ["/".join([each[0], *(p for p in each[1:] if p not in shared)]) for each in parts], "/".join(shared)


def _join(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _epsilon(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"epsilon {text!r} is not a number: write it as eps=1e-05") from None


def _axes_hint(text: str) -> str:
    """How to write the axes of ``text``, which is no shape: (4, 3), 4,3, 4X3."""
    axes = re.findall(r"\d{1,12}", text, re.ASCII)
    if re.fullmatch(r"[\d\s,;*×xX()\[\]]+", text, re.ASCII) and len(axes) > 1:
        return f"did you mean {'x'.join(axes)}?"
    return "write the axes with x between, as 5x100x100x3"
