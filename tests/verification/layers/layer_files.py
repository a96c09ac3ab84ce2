"""A layer class in NumPy as a user writes one, with a line to replace for each fault."""

MOMENTUM_OF_NEW = "(1 - m) * self.running_mean + m * mean, (1 - m) * self.running_var + m * var"
LAYER = """
import numpy as np

class BatchNorm:
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)
        self.eps, self.momentum = eps, momentum

    def forward(self, x, training=True):
        mean, var, n, m = x.mean(0), x.var(0), len(x), self.momentum
        self.training = training
        if training:
            {update}
        else:
            {evaluate}
        self.inv_std = 1 / np.sqrt(var + self.eps)
        self.x_hat = (x - mean) * self.inv_std
        return self.x_hat * self.gamma.astype(x.dtype) + self.beta.astype(x.dtype)

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.x_hat).sum(0), dy.sum(0)
        dx = dy - {means}
        return self.gamma * self.inv_std * dx
"""
UPDATE = "self.running_mean, self.running_var = " + MOMENTUM_OF_NEW
UNBIASED = UPDATE.replace("m * var", "m * var * n / max(n - 1, 1)")
EVALUATE = "mean, var = self.running_mean, self.running_var"
MEANS = "self.training * (dy.mean(0) + self.x_hat * (dy * self.x_hat).mean(0))"


def layer(update=UNBIASED, evaluate=EVALUATE, means=MEANS):
    """The file; a right layer with PyTorch's conventions where nothing is given."""
    return LAYER.format(update=update, evaluate=evaluate, means=means)
