"""A class of layers in the style of NumPyNet as a kernel: the published listing, and one with the right formula."""

from types import ModuleType

import pytest

import bncli
from bncli.loading.guard import guarded
from command_line import run
from user_files import LAYOUTS, SMALL, assert_right, fails, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

LISTING = """
import numpy as np

class BatchNorm_layer:
  def __init__(self, scales=None, bias=None):
    self.scales, self.bias = scales, bias

  @property
  def out_shape(self):
    return self._out_shape

  def forward(self, inpt, epsil=1e-8):
    self._out_shape = inpt.shape
    self.x    = inpt
    self.mean = self.x.mean(axis=0)
    self.var  = 1. / np.sqrt((self.x.var(axis=0)) + epsil)
    self.x_norm = (self.x - self.mean) * self.var
    self.output = self.x_norm.copy()
    if self.scales is not None:
      self.output *= self.scales
    if self.bias is not None:
      self.output += self.bias
    self.delta = np.zeros(shape=self.out_shape, dtype=float)

  def backward(self, delta=None):
    invN = {samples}
    self.bias_updates   = self.delta.sum(axis=0)
    self.scales_updates = (self.delta * self.x_norm).sum(axis=0)
    self.delta *= self.scales
    self.mean_delta = (self.delta * (-self.var)).{mean}(axis=0)
    self.var_delta  = ((self.delta * (self.x - self.mean)).sum(axis=0) *
                       (-.5 * self.var * self.var * self.var))
    self.delta = (self.delta * self.var +
                  self.var_delta * 2 * (self.x - self.mean) * invN +
                  self.mean_delta * invN)
    if delta is not None:
      delta[:] = self.delta
"""
PUBLISHED = LISTING.format(samples="1. / np.prod(self.mean.shape)", mean="mean")
RIGHT = LISTING.format(samples="1. / self.x.shape[0]", mean="sum")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layer_with_the_right_formula_is_right(make_case, layout):
    assert_right(guarded(loaded(RIGHT)), make_case(f"{layout}/float64/eps=0.001"))


def test_the_published_listing_is_wrong_for_its_two_faults():
    write("mine.py", PUBLISHED)
    result = run("gradcheck", "mine.py:BatchNorm_layer", "--shape", "6x5x4", "--search", "0", code=1)
    said = " ".join(result.stdout.split())
    assert "the x_hat term is 0.3 of what it should be: divided by 20, the number of features" in said
    assert "the mean term is 0.05 of what it should be: averaged, and then divided by 20" in said
    assert "BatchNorm_layer is a layer class: forward, backward" in result.stderr


def test_the_library_takes_the_class_itself():
    names = {}
    exec(RIGHT, names)  # noqa: S102, the listing of this test
    layer = names["BatchNorm_layer"]
    bncli.gradcheck(layer, "6x5").raise_if_failed()
    for given in (layer, [layer, "numpy"]):
        found = bncli.bench(given, "6x5", max_time=0).rows
        assert {row["verdict"] for row in found if row["kernel"] == "BatchNorm_layer"} == {"PASS"}


WITH_MODES = """
import numpy as np

class MyNorm:
    def __init__(self, num_features, eps=1e-5):
        self.gamma, self.beta, self.eps, self.training = np.ones(num_features), np.zeros(num_features), eps, True
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)

    def forward(self, x):
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            self.running_var = 0.9 * self.running_var + 0.1 * var
        else:
            mean, var = self.running_mean, self.running_var
        self.inv_std = 1 / np.sqrt(var + self.eps)[:, None, None]
        self.x_hat = (x - mean[:, None, None]) * self.inv_std
        return self.x_hat * self.gamma[:, None, None] + self.beta[:, None, None]

    def backward(self, dy):
        axes = (0, 2, 3)
        self.dgamma, self.dbeta = (dy * self.x_hat).sum(axes), dy.sum(axes)
        dx = dy.copy()
        if self.training:
            dx -= dy.mean(axes, keepdims=True) + self.x_hat * (dy * self.x_hat).mean(axes, keepdims=True)
        return dx * self.inv_std * self.gamma[:, None, None]
"""
IN_EVAL = {
    "right": (WITH_MODES, "dx of inference PASS reference"),
    "the formula of training": (
        WITH_MODES.replace("        if self.training:\n            dx", "        if True:\n            dx"),
        "mean(dy) and the x_hat term are subtracted, as in training",
    ),
    "none in eval": (WITH_MODES.replace("        axes", "        assert self.training\n        axes"), ""),
}


@pytest.mark.parametrize(("text", "says"), IN_EVAL.values(), ids=IN_EVAL)
def test_a_backward_after_eval_is_the_backward_of_inference(text, says):
    write("mine.py", text)
    kernel = loaded(text)
    assert kernel.has_infer
    assert kernel.has_infer_backward == bool(says)
    wrong = text is not WITH_MODES and bool(says)
    found = run("gradcheck", "mine.py:MyNorm", "--shape", "6x5x4x2/channels-first", "--search", "0", code=int(wrong))
    assert says in " ".join(found.stdout.split())


def test_an_instance_is_one_line_that_says_to_name_the_class():
    write("mine.py", RIGHT + "\nlayer = BatchNorm_layer()\n")
    assert "it is an instance of BatchNorm_layer: name the class" in fails("gradcheck", "mine.py:layer", *SMALL)


def test_a_layer_that_takes_no_scales_is_one_line():
    write("mine.py", PUBLISHED.replace("scales=None, bias=None", "momentum=0.9").replace("scales, bias", "None, None"))
    assert "its constructor takes neither num_features, nor scales and bias, nor gamma and beta" in fails(
        "gradcheck", "mine.py", *SMALL
    )


def test_the_library_takes_a_module_with_one_object():
    module = ModuleType("mine")
    exec(RIGHT, vars(module))  # noqa: S102, the listing of this test
    vars(module)["BatchNorm_layer"].__module__ = "mine"
    bncli.gradcheck(module, "6x5").raise_if_failed()


def test_a_layer_that_gives_no_output_says_after_which_call():
    write(
        "mine.py",
        RIGHT.replace("self.output = self.x_norm.copy()", "self.result = self.x_norm.copy()")
        .replace("self.output *=", "self.result *=")
        .replace("self.output +=", "self.result +="),
    )
    assert "the layer has no output after forward" in fails("gradcheck", "mine.py", *SMALL)
