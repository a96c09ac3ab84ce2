"""The size of the pool of forwards, from what a planted process grows by."""

from weakref import WeakSet

import pytest

from bncli.benchmarking import pool
from bncli.errors import InputError
from short_runs import NUMPY, kernel, rows


@pytest.fixture
def grows(monkeypatch):
    """Functions that make backwards ready, each of which keeps so many bytes alive."""
    alive = set()

    def kept(nbytes):
        class Ready:
            def __init__(self):
                alive.add((id(self), nbytes))

            def __del__(self):
                alive.discard((id(self), nbytes))

        return Ready

    monkeypatch.setattr(pool, "_own_memory", lambda: 10**9 + sum(nbytes for _, nbytes in alive))
    monkeypatch.setattr(pool, "second_level_cache", lambda: 1 << 20)
    return kept


@pytest.mark.parametrize(
    ("shape", "copies", "kept", "size"),
    [
        ("32x64/float32", 16, 9 << 10, 16),
        ("32x64/float32", 16, 64 << 10, 8),  # within half of the second-level cache, 512 KiB
        ("32x64/float32", 16, 1 << 20, 1),
        ("32x64/float32", 16, 0, 16),
        ("200x1000/float32", 1, 8 << 20, 1),
        ("200x1000/float32", 4, 32 << 20, 2),  # larger than that cache: 64 MiB
        ("200x1000/float32", 4, 1 << 30, 1),
    ],
)
def test_a_pool_has_a_forward_for_each_copy_as_far_as_the_caches_allow(make_case, grows, shape, copies, kept, size):
    assert pool.size([grows(kept)] * copies, make_case(shape)) == size


class Kept:
    """Something that stays alive, counted as 4 MiB: the C library may serve real ones from memory that it kept."""


def test_all_kernels_have_the_pool_of_the_one_that_keeps_most(make_case, monkeypatch):
    alive = WeakSet()

    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon, out=out)
        kept = Kept()
        alive.add(kept)
        return y, (saved, kept)

    def backward(dy, saved, *, out=None):
        return NUMPY.backward(dy, saved[0], out=out)

    monkeypatch.setattr(pool, "second_level_cache", lambda: 16 << 20)
    monkeypatch.setattr(pool, "_own_memory", lambda: len(alive) << 22)
    found = rows(make_case("32x64/float32"), NUMPY, kernel(forward=forward, backward=backward))
    assert found["numpy", "backward"]["pool"] == found["mine", "backward"]["pool"] == 2
    assert found["mine", "backward"]["copies"] == 16
    assert "pool" not in found["mine", "forward"]


def test_forwards_on_all_cold_copies_must_fit_into_memory(make_case, grows, monkeypatch):
    monkeypatch.setattr(pool.memory, "free", lambda: 100 << 20)
    case = make_case("32x64/float32")
    nbytes = pool.needed([grows(1 << 20)] * 60)
    pool.require_memory(nbytes, case)
    with pytest.raises(InputError, match=r"what forward keeps of 32x64/.* would take about 120 MiB .* --cache warm"):
        pool.require_memory(2 * nbytes, case)


def test_the_growth_of_this_process_is_measured(make_case):
    assert pool.size([lambda: bytearray(64 << 20)] * 2, make_case("32x64/float32")) == 1
