"""Case i of a seed: a function of both alone, not of the machine.

The first dozen are the most telling, since kernels that compile for each shape get no further; then come those
around which real kernels change their path, written down; and then drawn ones, whose sizes grow with i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from bncli.core.layout import Layout, Shape
from bncli.core.problem import HALF, ITEMSIZE, Problem
from bncli.verification.search import call_history, contents, limits, memory_layouts, shapes
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.written_cases import PATHS, PLAIN, TELLING

EPSILONS = (1e-5, 1e-5, 1e-5, 1e-3, 1e-8, 1e-12, 1.0)
DATA = (
    "+1", "+10", "+100", "+1000", "+1e5", "+1e6", "x1e-3", "x100", "x1e6", "x1e-8", "x1e20", "x1e-20", "decades-3",
    "decades-6", "outlier", "outlier-first", "outlier-last", "constant", "nearly-constant", "grid", "skewed", "nan",
    "inf", "subnormal", "decades-2,nan",
)  # fmt: skip
HALF_DATA = ("+1", "+10", "x10", "x0.1", "grid", "skewed", "nan", "inf", "constant", "outlier", "decades-1")
GAMMA = ("ones", "zeros", "one-zero", "negative", "x1e-9", "x100", "x1e6")
BETA = ("zeros", "x100", "x1e-6")
DY = ("x1000", "x1e-6", "noise", "no-mean", "noise,x1e6", "no-mean,x1000")
HISTORIES = ("20f20bi", "f2bi", "2(fb)i", "fbwfbi", "fobi", "efbi", "fybi", "fibi", "igifb", "fbgfbi", "3f3b", "12(fb)")
MEMORY = (
    "x[::2]", "x[...,::2]", "x[::-1]", "x:fortran", "x:channels-last", "x:misaligned", "gamma[::2]", "beta[::2]",
    "dy[::2]", "dy[...,::2]", "dy:fortran", "dy:channels-last", "dy[::-1]", "read-only", "out",
    "x[::2],dy[::2]", "x:channels-last,dy:channels-last", "x:fortran,dy:fortran,out", "gamma[::-1],beta:misaligned",
)  # fmt: skip
FEW = 3
PARTLY = 0.2  # the share of drawn cases that are partial, where a kernel takes them
SMALL = 13  # the binary logarithm of the most elements of a case with a long call history, or much done to its memory


@dataclass(frozen=True)
class Fixed:
    """What was asked for, and so is the same in every case; None is drawn. ``threads`` of 0 are the kernel's own."""

    dtype: str | None = None
    params: str | None = None
    epsilon: float | None = None
    layout: Layout | None = None
    threads: int | None = None

    def among(self, types: Sequence[str]) -> list[str]:
        """Those of ``types`` that were asked for; where the kernel takes none of them, the dtype alone."""
        if self.dtype is None:
            return list(types)
        wanted = {None: (self.dtype, f"{self.dtype}/params=float32"), "float32": (f"{self.dtype}/params=float32",)}
        return [each for each in types if each in wanted.get(self.params, (self.dtype,))] or [self.dtype]


def case(seed: int, i: int, types: Sequence[str], fixed: Fixed | None = None, partial: Sequence[str] = ()) -> CaseLine:
    """Case ``i``, from 0 on, for a kernel that takes ``types``, as ``Problem.types`` names them.

    ``partial`` are those of ``PARTIAL`` that it takes; the sequence of a kernel that takes none is the same as ever.
    """
    fixed = fixed or Fixed()
    rng = Random(f"{seed}/{i}")
    types = fixed.among(types)
    others = [f"{PLAIN} {each}" for each in partial]
    # A slow kernel gets no further than a few cases: the most telling of both kinds come first.
    written = [*TELLING[:FEW], *others[:FEW], *TELLING[FEW:], *others[FEW:], *PATHS]
    if i < len(written):
        line = _written(written[i], i, types)
    else:
        line = _partly(Random(f"{seed}/{i}/partial"), _drawn(rng, i - len(written), types), partial)
    return _as_asked(replace(limits.within(line), seed=rng.randrange(1 << 31)), fixed)


def _written(text: str, i: int, types: Sequence[str]) -> CaseLine:
    """``text``, in a type that the kernel takes: the one that it names, or one as wide, or any."""
    descriptor, _, rest = text.partition(" ")
    shape, layout, dtype, epsilon = descriptor.split("/")
    fitting = [each for each in types if ITEMSIZE[each.partition("/")[0]] == ITEMSIZE[dtype]] or types
    own = dtype if dtype in types else fitting[i % len(fitting)]
    line = CaseLine.parse(f"{shape}/{layout}/{own}/{epsilon} {rest}")
    if line.problem.dtype not in HALF:
        return line
    data = line.data if line.data in HALF_DATA else "normal"
    return replace(
        line,
        data=data,
        gamma=line.gamma if line.gamma in (*GAMMA[:4], contents.NONE) else "drawn",
        beta=line.beta if line.beta == contents.NONE else "drawn",
        dy="drawn",
    )


def _as_asked(line: CaseLine, fixed: Fixed) -> CaseLine:
    problem = line.problem
    if fixed.epsilon is not None:
        problem = replace(problem, epsilon=fixed.epsilon)
    if fixed.layout is not None and fixed.layout != problem.layout:
        problem = replace(problem, layout=fixed.layout, shape=_in_layout(problem.canonical_shape, fixed.layout))
    return replace(line, problem=problem, threads=line.threads if fixed.threads is None else fixed.threads)


def _drawn(rng: Random, i: int, types: Sequence[str]) -> CaseLine:
    dtype, _, params = rng.choice(types).partition("/params=")
    narrow = dtype in HALF
    history = rng.choice(HISTORIES) if rng.random() < 0.15 else call_history.PLAIN
    memory = rng.choice(MEMORY) if rng.random() < 0.2 else memory_layouts.CONTIGUOUS
    plain = history == call_history.PLAIN
    shape = shapes.draw(rng, shapes.exponent(rng, i) if plain else min(SMALL, shapes.exponent(rng, i)))
    data = rng.choice(HALF_DATA if narrow else DATA) if rng.random() < 0.35 else "normal"
    epsilon = rng.choice(EPSILONS) if rng.random() < 0.95 else 0.0
    line = CaseLine(
        Problem(shape, Layout.CHANNELS_FIRST, dtype, epsilon, params),
        data=data,
        gamma=rng.choice(GAMMA[:4] if narrow else GAMMA) if rng.random() < 0.25 else "drawn",
        beta=rng.choice(BETA[:1] if narrow else BETA) if rng.random() < 0.2 else "drawn",
        dy=rng.choice(DY[2:4] if narrow else DY) if rng.random() < 0.2 else "drawn",
        memory=memory,
        history=history,
        threads=rng.choice((1, 2, 3, 4)) if rng.random() < 0.15 else 0,
    )
    return _dressed(rng, line)


def _partly(rng: Random, line: CaseLine, partial: Sequence[str]) -> CaseLine:
    """Some of all lines without parameters, or with only some of the gradients."""
    if not partial or rng.random() > PARTLY:
        return line
    chosen = CaseLine.parse(f"{PLAIN} {rng.choice(partial)}")
    gamma, beta = (
        each if each == contents.NONE else own for each, own in ((chosen.gamma, line.gamma), (chosen.beta, line.beta))
    )
    return replace(line, gamma=gamma, beta=beta, grads=chosen.grads)


def _dressed(rng: Random, line: CaseLine) -> CaseLine:
    """In one of the layouts that have this canonical shape."""
    outer, features, inner = line.problem.canonical_shape
    if inner > 1:
        return line
    layout = rng.choice(list(Layout))
    return replace(line, problem=replace(line.problem, layout=layout, shape=_in_layout((outer, features, 1), layout)))


def _in_layout(canonical: tuple[int, int, int], layout: Layout) -> Shape:
    """A shape with these features; samples become items, where the layout has no inner axis."""
    outer, features, inner = canonical
    return (outer, features, inner) if layout is Layout.CHANNELS_FIRST else (outer * inner, features)
