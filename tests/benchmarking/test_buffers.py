"""The arrays that are timed: ordinary, in turns, changing, and watched."""

import numpy as np
import pytest

from bncli.benchmarking import buffers
from bncli.benchmarking.buffers import COLD, WARM, Inputs
from bncli.errors import InputError


def arrays(case):
    return case.x, case.dy, case.gamma, case.beta


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (64, 1000, 1), (17,)])
def test_an_array_is_ordinary(dtype, shape):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    found = buffers.empty(shape, dtype)
    assert (found.shape, found.dtype.name) == (shape, dtype)
    assert found.ctypes.data % 64 == 0
    assert found.flags.carray
    found.fill(1)
    assert (found == 1).all()


def test_copies_are_ordinary_though_the_case_is_not_and_the_first_is_the_case(make_case):
    case = make_case("5x4x4x3/float32")
    inputs = Inputs(case, 3)
    for copy in inputs.copies:
        assert all(array.flags.carray and array.ctypes.data % 64 == 0 for array in arrays(copy))
    for own, copied in zip(arrays(case), arrays(inputs.copies[0]), strict=True):
        assert not own.flags.writeable
        assert not np.shares_memory(own, copied)
        assert (own == copied).all()


def test_the_contents_of_each_copy_differ_and_are_as_hard(make_case):
    case = make_case("5x4x4x3")
    copies = Inputs(case, 16).copies
    assert len({copy.x.tobytes() for copy in copies}) == len({copy.dy.tobytes() for copy in copies}) == 16
    for copy in copies:
        for own, turned in ((case.x, copy.x), (case.dy, copy.dy)):
            # The samples of a feature stay together: only which feature it is may change.
            assert {tuple(sorted(samples)) for samples in turned.swapaxes(0, 1).reshape(48, 5).tolist()} == {
                tuple(sorted(samples)) for samples in own.swapaxes(0, 1).reshape(48, 5).tolist()
            }


@pytest.mark.parametrize("shape", ["5x4x4x3", "2x3/float32", "4x3x2x2/channels-first", "1x3x2x2/channels-first"])
def test_contents_change_before_each_call_and_are_restored(make_case, shape):
    case = make_case(shape)
    inputs = Inputs(case, 2)
    copy = inputs.copies[0]
    seen = {copy.x.tobytes()}
    for _ in range(9):
        inputs.alter(0)
        seen.add(copy.x.tobytes())
        for name in ("x", "dy"):
            own, altered = getattr(case, name), getattr(copy, name)
            ((_, feature, _),) = np.argwhere(altered != own)
            # It is a value that the feature might have.
            assert own[:, feature].min() < altered[:, feature].max() <= own[:, feature].max()
            assert own[:, feature].min() <= altered[:, feature].min()
    assert len(seen) > 3
    inputs.alter(1)
    inputs.restore()
    inputs.restore()
    assert (copy.x == case.x).all()
    assert (copy.dy == case.dy).all()
    assert not inputs.are_corrupted()


@pytest.mark.parametrize("name", ["x", "dy"])
def test_two_samples_of_a_feature_can_be_exchanged_for_a_while(make_case, name):
    case = make_case("5x4x4x3")
    inputs = Inputs(case, 1)
    own, copy = getattr(case, name), getattr(inputs.copies[0], name)
    with inputs.exchanged(name) as (first, second):
        assert first[1] == second[1]
        assert (copy[first], copy[second]) == (own[second], own[first])
        assert (copy != own).sum() == 2
    assert (copy == own).all()
    with Inputs(make_case("1x3"), 1).exchanged(name) as places:
        assert places is None


@pytest.mark.parametrize("name", ["x", "dy"])
def test_one_feature_can_be_half_as_large_for_a_while(make_case, name):
    case = make_case("5x4x4x3/float32")
    inputs = Inputs(case, 1)
    copy = getattr(inputs.copies[0], name)
    with inputs.halved(name, 1):
        assert (copy[:, 1] == getattr(case, name)[:, 1] / 2).all()
        assert (copy != getattr(case, name)).sum() == 5
    assert (copy == getattr(case, name)).all()


def test_one_sample_has_nothing_to_change(make_case):
    inputs = Inputs(make_case("1x3"), 1)
    inputs.alter(0)
    assert not inputs.are_corrupted()
    inputs.restore()
    assert not inputs.are_corrupted()


@pytest.mark.parametrize("name", ["x", "dy", "gamma", "beta"])
@pytest.mark.parametrize("copy", [0, 2])
def test_a_kernel_that_writes_into_an_input_is_seen_and_the_input_restored(make_case, name, copy):
    case = make_case("5x4")
    inputs = Inputs(case, 3)
    before = [array.copy() for each in inputs.copies for array in arrays(each)]
    array = getattr(inputs.copies[copy], name)
    array.flat[-1] = np.nextafter(array.flat[-1], np.inf)
    assert inputs.are_corrupted()
    inputs.rewrite(case)
    assert not inputs.are_corrupted()
    for old, new in zip(before, (array for each in inputs.copies for array in arrays(each)), strict=True):
        assert (old == new).all()


def test_small_problems_rotate_within_a_cores_own_cache_and_large_ones_not_at_all(make_case):
    small = buffers.inputs_for(make_case("32x64/float32"))
    assert len(small.copies) == 16
    middle = buffers.inputs_for(make_case("100x100/float32"))
    assert 1 < len(middle.copies) < 16
    assert len(middle.copies) * 2 * middle.copies[0].x.nbytes <= buffers.WARM_BYTES
    assert len(buffers.inputs_for(make_case("200x1000/float32"), WARM).copies) == 1


@pytest.mark.parametrize(("cache", "count"), [(1 << 20, 33), (1 << 16, 3), (1 << 10, 2), (1, 2)])
def test_cold_copies_fill_the_caches_beyond(make_case, monkeypatch, cache, count):
    monkeypatch.setattr(buffers, "last_level_cache", lambda: cache)
    case = make_case("128x64/float64")  # 64 KiB
    copies = buffers.inputs_for(case, COLD).copies
    assert len(copies) == count
    assert (len(copies) - 1) * case.x.nbytes >= 2 * cache


def test_there_are_never_too_many_cold_copies(make_case, monkeypatch):
    monkeypatch.setattr(buffers, "MOST_COLD", 50)
    assert len(buffers.inputs_for(make_case("2x3"), COLD).copies) == 50


def test_cold_copies_that_do_not_fit_are_refused(make_case, monkeypatch):
    monkeypatch.setattr(buffers, "last_level_cache", lambda: 1 << 50)
    monkeypatch.setattr(buffers, "MOST_COLD", 1 << 40)
    with pytest.raises(InputError, match=r"5x4/.* needs about .* TiB of memory for cold caches .* --cache warm"):
        buffers.inputs_for(make_case("5x4"), COLD)


def test_outputs_are_poisoned_everywhere(make_case):
    outputs = buffers.outputs_for(make_case("5x4/float32"))
    outputs.y.fill(1)
    outputs.poison()
    assert all(np.isnan(array).all() for array in (outputs.y, *outputs.gradients))
    assert outputs.gradients.dx is outputs.y
    # In a whole step, backward may still need what forward has written.
    whole = buffers.outputs_for(make_case("5x4"), whole_step=True)
    assert not np.shares_memory(whole.y, whole.gradients.dx)


def test_a_digest_is_of_the_bits():
    zero, minus = np.zeros(3), -np.zeros(3)
    assert buffers.digest(zero) == buffers.digest(zero.copy()) != buffers.digest(minus)
    assert buffers.digest(np.full(3, np.nan)) == buffers.digest(np.full(3, np.nan))
    assert buffers.digest(np.arange(12.0)[::2]) == buffers.digest(np.arange(0.0, 12, 2))
