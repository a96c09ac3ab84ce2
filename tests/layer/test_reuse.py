"""A layer's memory that is used again."""

import numpy as np
import pytest

from bncli import BatchNorm
from layers import REDUCED, Strict, arrays, trained


def address(array):
    return array.ctypes.data


# For channels the kernel numba has another engine than for activations, which takes long to compile.
@pytest.mark.parametrize(
    ("kernel", "layout"),
    [
        *(("numpy", layout) for layout in REDUCED),
        ("numba", "per-activation"),
        pytest.param("numba", "channels-last", marks=pytest.mark.slow),
        pytest.param("numba", "channels-first", marks=pytest.mark.slow),
    ],
)
def test_reused_memory_holds_the_same_results_step_by_step(layout, kernel):
    plain, thrifty = (BatchNorm(layout=layout, kernel=kernel, reuse_buffers=reuse) for reuse in (False, True))
    places = set()
    for seed, training in enumerate((True, True, False, True)):
        x, dy, *_ = arrays(seed)
        outputs = [layer.forward(x, training=training) for layer in (plain, thrifty)]
        np.testing.assert_array_equal(*outputs)
        if training:
            plain.delta = thrifty.delta = dy
            errors = [layer.backward() for layer in (plain, thrifty)]
            np.testing.assert_array_equal(*errors)
            np.testing.assert_array_equal(thrifty.output, outputs[0])
            places.add((address(outputs[1]), address(errors[1])))
            for layer in (plain, thrifty):
                layer.update()
    assert len(places) == 1
    assert len(set(places.pop())) == 2


def test_memory_is_not_used_again_unless_asked():
    layer, x, dy, expected = trained()
    output = layer.output
    before = output.copy()
    layer.forward(x + 1)
    layer.delta = dy
    assert not np.shares_memory(layer.output, output)
    assert not np.shares_memory(layer.backward(), expected)
    np.testing.assert_array_equal(output, before)


def test_reused_memory_follows_the_batch_size():
    layer, x, *_ = trained(reuse_buffers=True)
    for batch in (x[:3], x):
        y = layer.forward(batch)
        np.testing.assert_array_equal(y, BatchNorm(layer.scales, layer.bias).forward(batch))
        assert address(layer.forward(batch)) == address(y)


def test_an_input_in_reused_memory_is_left_alone():
    layer, x, dy, expected = trained(reuse_buffers=True)
    for kept in (layer.output, expected):
        kept[...] = x
        y = layer.forward(kept)
        np.testing.assert_array_equal(kept, x)
        layer.delta = dy
        dx = layer.backward()
        np.testing.assert_array_equal(kept, x)
        plain = BatchNorm(layer.scales, layer.bias)
        np.testing.assert_array_equal(y, plain.forward(x))
        plain.delta = dy
        np.testing.assert_array_equal(dx, plain.backward())


def test_a_dy_in_reused_memory_is_left_alone():
    layer, _, dy, expected = trained(kernel=Strict().kernel, reuse_buffers=True)
    correct = expected.copy()
    expected[...] = dy
    layer.delta = expected
    np.testing.assert_array_equal(layer.backward(), correct)
    np.testing.assert_array_equal(layer.delta, dy)


def test_a_given_delta_is_not_written_to_by_the_next_step():
    layer, x, dy, expected = trained(reuse_buffers=True)
    correct = expected.copy()
    delta = layer.backward(np.empty_like(x))
    layer.forward(2 * x)
    layer.delta = -dy
    layer.backward()
    np.testing.assert_array_equal(delta, correct)
