"""One sample per feature, and what a layer refuses."""

import inspect
import re
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bncli import BatchNorm, load_kernel
from bncli.errors import InputError
from layers import SHAPE, arrays, dtypes, read_only, trained


@dtypes
@pytest.mark.parametrize("running_variance", ["biased", "unbiased"])
def test_one_sample_warns_and_has_no_gradient(dtype, running_variance):
    x, dy, scales, bias = arrays(17, shape=(1, *SHAPE[1:]), dtype=dtype)
    layer = BatchNorm(scales, bias, running_variance=running_variance)
    line = inspect.currentframe().f_lineno + 2
    with pytest.warns(UserWarning, match=r"^with one sample per feature, .*: give a larger batch$") as caught:
        layer.forward(1000 * x)
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)
    np.testing.assert_array_equal(layer.output[0], bias)
    np.testing.assert_array_equal(layer.running_var, 1 if running_variance == "unbiased" else 0.9)
    np.testing.assert_allclose(layer.running_mean, 0.1 * 1000 * x[0])
    layer.delta = dy
    delta = np.full(x.shape, np.nan, dtype)
    layer.backward(delta)
    assert not delta.any()
    np.testing.assert_allclose(layer.bias_updates, dy[0], rtol=1e-6)


def test_one_image_of_many_pixels_is_no_single_sample():
    x, *_ = arrays(18, shape=(1, *SHAPE[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BatchNorm(layout="channels-last").forward(x)
        BatchNorm().forward(x, training=False)


# What is refused


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"layout": "channels"}, "^unknown layout 'channels': use per-activation, channels-last, channels-first$"),
        ({"epsilon": -1.0}, "^epsilon -1.0 cannot be used: it must be finite and not negative$"),
        ({"dtype": "float16"}, "^kernel 'numpy' does not take float16: use float32 or float64$"),
        ({"dtype": "wide"}, "^kernel 'numpy' does not take wide: use float32 or float64$"),
        ({"kernel": "nunpy"}, "^no kernel is called 'nunpy': did you mean 'numpy'"),
        ({"running_momentum": 1.5}, "^running_momentum is 1.5: give the new batch's weight, from 0 to 1$"),
        ({"running_variance": "sample"}, "^unknown running_variance 'sample': use biased or unbiased$"),
        ({"scales": ["one"]}, "^scales holds <U3: give an array of real numbers$"),
        ({"bias": [1j]}, "^bias holds complex128: give an array of real numbers$"),
        ({"bias": [[1.0], []]}, "^bias is ragged: give an array of real numbers$"),
    ],
)
def test_the_constructor_refuses(options, complaint):
    with pytest.raises(InputError, match=complaint):
        BatchNorm(**options)


@pytest.mark.parametrize("dtype", [np.float32, "float32", np.dtype(">f4"), "f4"])
def test_any_name_of_a_dtype_will_do(dtype):
    assert BatchNorm(dtype=dtype).dtype == "float32"


@pytest.mark.parametrize("name", ["scales", "bias"])
@pytest.mark.parametrize("shape", [(), (4,), (23,), (4, 2, 3), (1, 3, 2, 4)])
def test_parameters_of_a_wrong_shape_are_refused(name, shape):
    layer = BatchNorm(**{name: np.ones(shape)})
    needs = f"{name} has shape {shape}, but an input of {SHAPE} needs (3, 2, 4) or (24,)"
    with pytest.raises(InputError, match=f"^{re.escape(needs)}$"):
        layer.forward(arrays(0)[0])


@pytest.mark.parametrize(
    ("inpt", "complaint"),
    [
        (np.ones(3), "^shape '3' has no feature axis"),
        (np.ones((0, 3)), "^shape '0x3' is empty"),
        (np.ones((2, 3), complex), "^inpt holds complex128: give an array of real numbers$"),
        (np.array([["a"]]), "^inpt holds <U1: give an array of real numbers$"),
        ([[1.0], [1.0, 2.0]], "^inpt is ragged: give an array of real numbers$"),
    ],
)
@pytest.mark.parametrize("copy", [False, True])
def test_inputs_that_make_no_batch_are_refused(inpt, complaint, copy):
    with pytest.raises(InputError, match=complaint):
        BatchNorm().forward(inpt, copy=copy)


def test_a_refused_forward_changes_nothing():
    layer, _, _, expected = trained()
    state = {name: value.copy() for name, value in vars(layer).items() if isinstance(value, np.ndarray)}
    for options in ({"inpt": np.ones((2, 5))}, {"inpt": np.ones(SHAPE, int)}, {"inpt": np.ones(4), "training": False}):
        with pytest.raises(InputError):
            layer.forward(**options)
    for name, value in state.items():
        np.testing.assert_array_equal(getattr(layer, name), value)
    np.testing.assert_array_equal(layer.backward(), expected)


@pytest.mark.parametrize("use", [BatchNorm.backward, lambda layer: layer.x_hat])
def test_nothing_goes_backward_before_a_forward(use):
    with pytest.raises(InputError, match=r"^backward needs a forward before it: call forward\(inpt\) first$"):
        use(BatchNorm())


@pytest.mark.parametrize(
    ("assigned", "complaint"),
    [
        (np.ones((5, 3, 2)), r"^layer\.delta has shape \(5, 3, 2\): assign one of the output's shape, \(5, 3, 2, 4\)$"),
        (np.ones(SHAPE, complex), r"^layer\.delta holds complex128: give an array of real numbers$"),
        (None, r"^layer\.delta holds object: give an array of real numbers$"),
    ],
)
def test_an_assigned_delta_that_does_not_fit_is_refused(assigned, complaint):
    layer, *_ = trained()
    layer.delta = assigned
    with pytest.raises(InputError, match=complaint):
        layer.backward()


@pytest.mark.parametrize(
    ("delta", "complaint"),
    [
        (np.ones((3, 2, 4)), r"^delta has shape \(3, 2, 4\): give one of the input's shape, \(5, 3, 2, 4\)$"),
        (read_only(np.ones(SHAPE)), "^delta cannot hold the error: give a writable array of floats"),
        (np.ones(SHAPE, int), "^delta cannot hold the error: give a writable array of floats"),
        (np.ones(SHAPE).tolist(), "^delta cannot hold the error: give a writable array of floats"),
    ],
)
def test_a_delta_that_cannot_be_written_is_refused(delta, complaint):
    layer, *_ = trained()
    with pytest.raises(InputError, match=complaint):
        layer.backward(delta)


def test_an_update_needs_a_backward_of_its_own():
    layer = BatchNorm()
    for prepare in (list, lambda: layer.forward(arrays(0)[0]), lambda: (layer.backward(), layer.update())):
        prepare()
        with pytest.raises(InputError, match=r"^update needs a backward since the last update: call"):
            layer.update()
    assert layer.steps == 1


@pytest.mark.parametrize("name", ["momentum", "decay", "lr", "lr_decay"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_an_update_refuses_what_would_ruin_the_parameters(name, value):
    layer, *_ = trained()
    with pytest.raises(InputError, match=f"^{name} is {value}: it must be finite and not negative$"):
        layer.update(**{name: value})
    layer.update()


def test_a_kernel_without_infer_trains_but_does_not_infer():
    layer, x, *_ = trained(kernel=replace(load_kernel("numpy"), infer=None))
    with pytest.raises(InputError, match=r"^kernel 'numpy' has no infer: use training=True or another kernel$"):
        layer.forward(x, training=False)


@pytest.mark.parametrize("hidden", ["mean", "var", "inv_std"])
def test_a_kernel_that_hides_its_statistics_cannot_train(hidden):
    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = load_kernel("numpy").forward(x, gamma, beta, epsilon, out=out)
        return y, SimpleNamespace(**{k: v for k, v in saved._asdict().items() if k != hidden})

    layer = BatchNorm(kernel=replace(load_kernel("numpy"), name="sly", forward=forward))
    x, *_ = arrays(0)
    with pytest.raises(InputError, match=r"^kernel 'sly' hides its statistics: its saved needs mean, var and inv_std$"):
        layer.forward(x)
    layer.forward(x, training=False)


def test_a_kernel_of_one_type_refuses_the_others():
    kernel = replace(load_kernel("numpy"), dtypes=("float32",))
    with pytest.raises(InputError, match=r"^kernel 'numpy' does not take float64: use float32$"):
        BatchNorm(kernel=kernel).forward(arrays(0)[0])
    assert BatchNorm(kernel=kernel, dtype="float32").forward(arrays(0)[0], copy=True).dtype == "float32"
