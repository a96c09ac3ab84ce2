"""The kernel ``dask`` on threads of this process: its blocks, how they merge, and that who does it changes no bit.

What every kernel must do, it must too: see test_kernels.py.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.core.kernel import Gradients
from bncli.core.problem import Problem
from bncli.core.source import draw
from bncli.errors import InputError
from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import ARITY, Moments, Run, merged, widths
from bncli.loading.registry import load_kernel, registered_kernel
from bncli.verification.finding import Verdict
from bncli.verification.parts import part_checks
from command_line import invoke

HERE = pytest.mark.skipif(registered_kernel("dask").available() is not None, reason="Dask is not installed")
MISSING = "Dask is not installed: pip install 'bncli[cluster]'"


def exact_moments(values):
    """Mean and M2 of a list of floats, without rounding."""
    exact = [Fraction(float(value)) for value in values]
    mean = sum(exact) / len(exact)
    return mean, sum((value - mean) ** 2 for value in exact)


@pytest.mark.parametrize(
    "shape", [(1, 3, 1), (7, 2, 3), (130, 3, 1), (5, 1, 1500), (3000, 1, 1), (67, 1100, 1), (9, 2, 700)]
)
@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_the_moments_of_a_block_are_those_of_exact_arithmetic(shape, mean):
    from bncli.kernels.dask import blocks

    x = np.random.default_rng(3).normal(mean, 1, shape)
    found = blocks.moments(x)
    assert found.samples == shape[0] * shape[2]
    rounding = 1e-15 * (8 + 4 * mean)  # of a merge: a mean is rounded, and deviations from it are of size 1
    for feature in (0, shape[1] // 2, shape[1] - 1):
        exact_mean, exact_squares = map(float, exact_moments(x[:, feature].ravel()))
        assert found.mean[feature] == pytest.approx(exact_mean, rel=1e-15, abs=1e-15)
        assert found.squares[feature] == pytest.approx(exact_squares, rel=rounding, abs=1e-20)


def root(values, merge):
    """The root of the tree over ``values``."""
    (found,) = merged(len(values), merge, [Run(0, n, n + 1, value) for n, value in enumerate(values)])
    return found.value


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5), min_size=1, max_size=20))
def test_merging_blocks_is_the_moments_of_all(parts):
    def of(values):
        values = np.array(values)
        return Moments(len(values), values.mean(keepdims=True), ((values - values.mean()) ** 2).sum(keepdims=True))

    found = root([of(part) for part in parts], Moments.merged)
    mean, squares = exact_moments([value for part in parts for value in part])
    assert found.samples == sum(map(len, parts))
    assert abs(found.mean[0] - float(mean)) < 1e-11
    assert abs(found.squares[0] - float(squares)) < 1e-7 * max(1, float(squares))


def test_the_tree_merges_neighbours_from_left_to_right():
    assert root("abcdefghi", "({}{})".format) == "(((((ab)c)d)(((ef)g)h))i)"


@given(st.integers(1, 600), st.integers(1, 70), st.integers(1, 20))
def test_shares_are_merged_as_one_whole(leaves, threads, together):
    """The merges, and so the bits, are those of one worker; and little remains of a share."""
    names = [f"{number}," for number in range(leaves)]
    shares = engine.shares(leaves, threads)
    assert [number for share in shares for number in range(share.start, share.stop)] == list(range(leaves))
    assert len(shares) == min(leaves, threads * -(-leaves // (threads * engine.LONGEST)))
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) <= 1.2 * min(sizes) + 1
    merge, height = "({}{})".format, len(widths(leaves)) - 1
    parts = [
        engine.reduced(lambda own, end: own + end, merge, leaves, np.array([""]), share, names[share])
        for share in shares
    ]
    assert all(len(part) <= max(1, ARITY * height) for part in parts)
    groups = [parts[first : first + together] for first in range(0, len(parts), together)]
    (found,) = engine.joined(leaves, merge, [engine.joined(leaves, merge, group) for group in groups])
    assert found.value == root(names, merge)


def test_slices_of_features_give_the_whole():
    runs = [Run(0, 0, 1, {"x": (Moments(3, np.arange(6.0), np.ones(6)), np.array([5.0]))})]
    slices = [slice(0, 4), slice(4, 8)]
    (_, first), (_, rest) = (engine.taken(6, some, runs)[0].value["x"][0][:2] for some in slices)
    np.testing.assert_array_equal(np.concatenate([first, rest]), np.arange(6.0))
    assert engine.taken(6, slices[1], runs)[0].value["x"][1] == 5  # which is of no feature


@given(st.integers(1, 10**4), st.integers(1, 10**9), st.integers(1, 500))
def test_blocks_cover_the_batch_and_none_is_above_the_bound(samples, sample_bytes, step):
    cuts = engine.cut(samples, sample_bytes, step)
    assert cuts[0].start == 0
    assert cuts[-1].stop == samples
    assert all(a.stop == b.start for a, b in pairwise(cuts))
    assert all(cut.start % step == 0 for cut in cuts)
    longest = max(cut.stop - cut.start for cut in cuts)
    assert longest * sample_bytes <= engine.BLOCK or longest <= step
    assert longest <= max(step, -(-samples // engine.LEAST))


def results(kernel, case):
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return {"y": y, **saved._asdict(), **Gradients(*kernel.backward(case.dy, saved))._asdict()}


@HERE
@pytest.mark.parametrize("descriptor", ["64x40x80/float32", "40x16x24x24/channels-first/float64"])
def test_bits_do_not_depend_on_the_number_of_threads(make_case, descriptor):
    kernel, case = load_kernel("dask"), make_case(descriptor)
    assert case.x.size > engine.SMALL
    before = kernel.set_threads(1)
    try:
        alone = results(kernel, case)
        for threads in (2, 5):
            assert kernel.set_threads(threads)
            for name, array in results(kernel, case).items():
                np.testing.assert_array_equal(array, alone[name], name)
    finally:
        kernel.set_threads(before)


@HERE
def test_no_thread_is_no_number_of_threads():
    with pytest.raises(InputError, match="dask cannot use 0 threads: give 1 or more"):
        registered_kernel("dask").set_threads(0)


def test_blocks_may_be_worked_on_by_many_threads_at_once():
    from bncli.kernels.dask import blocks

    arrays = np.random.default_rng(0).standard_normal((16, 50, 200, 1))
    alone = [blocks.moments(x) for x in arrays]
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(blocks.moments, arrays), strict=True):
            np.testing.assert_array_equal(one.squares, other.squares)


def test_a_block_is_written_into_memory_that_is_not_contiguous():
    from bncli.kernels.dask import blocks

    x, dy = np.random.default_rng(0).standard_normal((2, 9, 4, 3))
    of_features = np.random.default_rng(1).standard_normal((4, 4))
    for function, *arrays in ((blocks.normalize, x, *of_features[:3]), (blocks.propagate, dy, x, *of_features)):
        out = np.full((9, 4, 6), np.nan)[..., ::2]
        assert function(*arrays, out=out) is out
        np.testing.assert_array_equal(out, function(*arrays))


@pytest.mark.slow
@HERE
def test_numbas_threads_are_never_started():
    # Its workqueue layer ends the process where two threads enter it: whoever never starts it cannot.
    code = """
import numpy as np, numba
from bncli.loading.registry import load_kernel
kernel, x, one = load_kernel("dask"), np.ones((64, 64, 64)), np.ones(64)
y, saved = kernel.forward(x, one, one, 1e-5)
kernel.backward(x, saved)
try:
    print(numba.threading_layer())
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "not initialized" in done.stdout, done.stdout + done.stderr


def test_a_missing_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    assert registered_kernel("dask").available() == MISSING
    result = invoke("forward", "--kernel", "dask", "--shape", "5x4")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == f"bncli: error: kernel 'dask' cannot run here: {MISSING}\n"


@pytest.mark.slow
def test_knowing_the_kernel_imports_neither_dask_nor_what_it_compiles():
    code = "import sys; from bncli.kernels import dask; print({'dask', 'numba'} & set(sys.modules))"
    # Whether Numba can be imported is only known by trying.
    code += "; dask.KERNEL.available(); print({'dask', 'bncli.kernels.dask.compiled'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "set()\nset()\n", done.stdout + done.stderr


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_merging_passes_the_checks_of_parts(dtype):
    """In every order and tree, of empty parts as of thousands."""
    with np.errstate(all="ignore"):
        found = part_checks.check(
            registered_kernel("dask"), draw("normal", Problem.parse(f"6x5/per-activation/{dtype}/eps=1e-05"), 0)
        )
    assert len(found) == 15
    assert {each.verdict for each in found} == {Verdict.PASS}
