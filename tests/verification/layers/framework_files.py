"""Layers of Flax and of ONNX Runtime as classes that bncli takes."""

FLAX = """
import flax.linen as nn
import jax
import numpy as np

dtypes = "float32"


def variable(group, name):
    def put(self, value):
        self.state = {**self.state, group: {**self.state[group], name: value}}

    return property(lambda self: np.asarray(self.state[group][name]), put)


class BatchNorm:
    def __init__(self, num_features, epsilon=1e-5, momentum=0.99):
        self.layer = nn.BatchNorm(epsilon=epsilon, momentum=momentum, axis=1)
        x = np.zeros((1, num_features), "float32")
        self.state = self.layer.init(jax.random.key(0), x, use_running_average=False)

    gamma, beta = variable("params", "scale"), variable("params", "bias")
    running_mean, running_var = variable("batch_stats", "mean"), variable("batch_stats", "var")

    def forward(self, x, training=True):
        y, state = self.layer.apply(self.state, x, use_running_average=not training, mutable=["batch_stats"])
        self.state = {**self.state, **state}
        return np.asarray(y)
"""
ONNX = """
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

dtypes = "float32"


def session(epsilon, momentum, training):
    outputs = ["y", "mean", "var"] if training else ["y"]
    node = helper.make_node(
        "BatchNormalization", list("xgbmv"), outputs, training_mode=int(training), momentum=momentum, epsilon=epsilon
    )
    info = helper.make_tensor_value_info
    names = [[info(name, TensorProto.FLOAT, None) for name in row] for row in ("xgbmv", outputs)]
    opset = [helper.make_opsetid("", 15)]
    model = helper.make_model(helper.make_graph([node], "layer", *names), opset_imports=opset, ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString())


class BatchNorm:
    def __init__(self, num_features, epsilon=1e-5, momentum=0.9):
        self.sessions = {training: session(epsilon, momentum, training) for training in (True, False)}
        self.gamma, self.running_var = np.ones((2, num_features), "float32")
        self.beta, self.running_mean = np.zeros((2, num_features), "float32")

    def forward(self, x, training=True):
        arrays = np.ascontiguousarray(x), self.gamma, self.beta, self.running_mean, self.running_var
        y, *running = self.sessions[training].run(None, dict(zip("xgbmv", arrays)))
        if training:
            self.running_mean, self.running_var = running
        return y
"""
