"""Where slopes are taken: each sample of each feature, or some; and directions that hide nothing."""

import numpy as np
import pytest

from bncli.verification import probes

SAMPLES = (0, 2)
SHAPE = 10, 6, 4


@pytest.fixture
def x_hat():
    """Of another size in each feature, about 0; the last is constant, and so 0."""
    values = np.random.default_rng(3).normal(size=SHAPE) * np.array([0.1, 1, 3, 0.5, 2, 0])[:, None]
    return values - values.mean(SAMPLES)[:, None]


def moved(x_hat, seed=0):
    return [(direction, sample) for direction, sample in probes.directions(x_hat, seed, True) if sample is not None]


def probing(x_hat, seed=0, whole=False):
    return [direction for direction, sample in probes.directions(x_hat, seed, whole) if sample is None]


def test_few_samples_are_moved_one_by_one(x_hat):
    found = moved(x_hat)
    assert [sample.tolist() for _, sample in found] == [[sample] * 6 for sample in range(40)]
    for direction, sample in found:
        alone = np.zeros(SHAPE)
        for feature, number in enumerate(sample):
            alone[number // 4, feature, number % 4] = 1
        np.testing.assert_array_equal(direction, alone)


@pytest.mark.parametrize(
    ("samples", "work", "whole"),
    [(40, 40 * 240, True), (39, 40 * 240, False), (40, 40 * 240 - 1, False)],
)
def test_of_many_samples_some_are_moved_the_extremes_among_them(x_hat, monkeypatch, samples, work, whole):
    monkeypatch.setattr(probes, "WHOLE_SAMPLES", samples)
    monkeypatch.setattr(probes, "WHOLE_WORK", work)
    found = moved(x_hat)
    if whole:
        assert len(found) == 40
        return
    assert len(found) == 8
    flat = np.abs(x_hat).transpose(0, 2, 1).reshape(40, 6)
    first, last, largest, smallest, *random = (sample for _, sample in found)
    assert (first.tolist(), last.tolist()) == ([0] * 6, [39] * 6)
    np.testing.assert_array_equal(flat[largest, range(6)], flat.max(0))
    np.testing.assert_array_equal(flat[smallest, range(6)], flat.min(0))
    assert len(random) == 4
    assert all(sample.min() >= 0 and sample.max() < 40 for sample in random)
    drawn = [sample for _, sample in moved(np.tile(x_hat, (1, 40, 1)))][4:]
    assert set(np.concatenate(drawn)) == set(range(40))
    for direction, sample in found:
        assert direction.sum() == (direction == 1).sum() == 6
        assert (direction[sample // 4, range(6), sample % 4] == 1).all()


def test_the_first_probes_lie_along_1_and_x_hat_with_signs_of_their_own(x_hat):
    along_1, along_x_hat, *_ = probing(np.tile(x_hat, (1, 5, 1)))
    signs = along_1[0, :, 0]
    np.testing.assert_array_equal(along_1, np.broadcast_to(signs[:, None], along_1.shape))
    own = (along_x_hat * np.tile(x_hat, (1, 5, 1))).sum(SAMPLES)
    np.testing.assert_array_equal(along_x_hat, np.tile(x_hat, (1, 5, 1)) * np.sign(own + (own == 0))[:, None] + 0.0)
    for found in (signs, np.sign(own[own != 0])):
        assert set(found) == {-1, 1}
    assert (signs[own != 0] != np.sign(own[own != 0])).any()


def test_the_other_probes_are_signs_without_their_part_along_1_and_x_hat(x_hat):
    *_, first, second = probing(x_hat)
    assert len(probing(x_hat)) == 4
    assert not np.array_equal(first, second)
    for noise in (first, second):
        np.testing.assert_allclose(noise.mean(SAMPLES), 0, atol=1e-14)
        np.testing.assert_allclose((noise * x_hat).mean(SAMPLES), 0, atol=1e-14)
        assert ((noise**2).mean(SAMPLES) <= 1).all()
        assert ((noise**2).mean(SAMPLES) > 0.7).all()
        assert not np.array_equal(noise[:, 0], noise[:, 1])


def test_directions_are_drawn_from_the_seed(x_hat):
    first, again, other = (probing(x_hat, seed) for seed in (0, 0, 1))
    for a, b, c in zip(first[2:], again[2:], other[2:], strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    assert len(list(probes.directions(x_hat, 0, False))) == 4
    assert len(list(probes.directions(x_hat, 0, True))) == 44
