"""A torch.nn.Module as a user writes one, and the same with faults of public kinds, each with words that name it."""

MODULE = """
import torch
from torch import nn

{before}
class MyBN(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.eps, self.momentum = eps, momentum
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        {init}

    def forward(self, x):
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        n, m = x.numel() // x.shape[1], self.momentum
        if {training}:
            mean, var = x.mean(axes), x.var(axes, unbiased=False)
            with torch.no_grad():
                {mean}
                {var}
                {count}
        else:
            {evaluate}
        {after}
        x_hat = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
        return x_hat * self.weight.view(shape) + self.bias.view(shape)

    {methods}
"""
MEAN = "self.running_mean.mul_(1 - m).add_(m * {})"
VAR = "self.running_var.mul_(1 - m).add_(m * {})"
UNBIASED = "var * n / max(n - 1, 1)"
EVALUATE = "mean, var = self.running_mean, self.running_var"
RIGHT = {
    "before": "", "init": "pass", "training": "self.training", "mean": MEAN.format("mean"), "var": VAR.format(UNBIASED),
    "count": "self.num_batches_tracked += 1", "evaluate": EVALUATE, "after": "pass", "methods": "",
}  # fmt: skip
OF_THE_BATCH = "mean, var = x.mean(axes), x.var(axes, unbiased=False)"
GRADIENT = (
    f"b = x.mean(axes), x.var(axes, unbiased=False); {EVALUATE}; mean, var = mean + b[0] - b[0].detach(), var + b[1]"
)
LOSING = """def {name}(self, *_):
        return {result}"""
NOT_SAVED = "self.register_buffer('running_mean', torch.zeros(num_features), persistent=False)"
FRESH = "MyBN(self.weight.numel(), self.eps, self.momentum)"
NOT_UPDATED = "the running {} is never updated"
AVERAGES = "the running {} averages {}"
FAULTS = {
    "the running statistics are never updated": {"mean": "pass", "var": "pass"},
    NOT_UPDATED.format("variance"): {"var": "pass"},
    NOT_UPDATED.format("mean"): {"mean": "pass"},
    "momentum is used the other way round in one of them": {
        "var": f"self.running_var.mul_(m).add_((1 - m) * {UNBIASED})"
    },
    "the new batch weighs 0.1 in the running mean, and 0.01 in the running variance": {
        "var": f"self.running_var.mul_(1 - m * m).add_(m * m * {UNBIASED})"
    },
    "momentum is ignored": {"init": "self.momentum_ = momentum", "mean": f"m = 0.1; {RIGHT['mean']}"},
    "a step updates the running statistics twice": {
        "count": f"{RIGHT['mean']}; {RIGHT['var']}; self.num_batches_tracked += 1"
    },
    "the old value weighs 1 and the new batch 0.1, which do not sum to 1": {"mean": "self.running_mean.add_(m * mean)"},
    AVERAGES.format("variance", "the batch's inv_std"): {"var": VAR.format("torch.rsqrt(var + self.eps)")},
    AVERAGES.format("variance", "the batch's variance plus epsilon"): {"var": VAR.format("(var + self.eps)")},
    AVERAGES.format("variance", "the batch's standard deviation"): {"var": VAR.format("var.sqrt()")},
    AVERAGES.format("variance", "the mean of x squared"): {"var": VAR.format("(x * x).mean(axes)")},
    AVERAGES.format("variance", "the batch's variance times N / (N - 1)"): {
        "var": VAR.format("var * x.shape[0] / max(x.shape[0] - 1, 1)")
    },
    AVERAGES.format("mean", "the mean of the first item"): {"mean": MEAN.format("x[:1].mean(axes)")},
    AVERAGES.format("mean", "the mean of the batch before"): {
        "init": "self.last = None",
        "mean": f"{MEAN.format('(mean if self.last is None else self.last)')}; self.last = mean.clone()",
    },
    "one sample per feature leaves NaN in the running variance": {
        "var": VAR.format("(var * n / (n - 1) if n > 1 else var / var)")
    },
    "training changes the running mean from float32 to float64": {
        "mean": "self.running_mean = (1 - m) * self.running_mean.double() + m * mean",
        "evaluate": "mean, var = self.running_mean.to(x.dtype), self.running_var",
    },
    "two layers share the running mean": {
        "before": "SHARED = {}", "init": "self.running_mean = SHARED.setdefault(num_features, self.running_mean)",
    },
    "7 training steps add 0 to num_batches_tracked": {"count": "pass"},
    "eval changes the running mean": {
        "evaluate": f"{EVALUATE}; mean = mean.clone(); self.running_mean.mul_(0.9).add_(0.1 * x.detach().mean(axes))"
    },
    "backward changes the running mean": {
        "after": "x = x * 1; x.requires_grad and x.register_hook(lambda g: (self.running_mean.add_(0.01), None)[1])"
    },
    "eval before the first training step uses the batch's statistics": {
        "evaluate": f"{EVALUATE}\n            if self.num_batches_tracked == 0: {OF_THE_BATCH}"
    },
    "eval after training uses the batch's statistics": {"evaluate": OF_THE_BATCH},
    "eval after training multiplies the running variance by n / (n - 1)": {
        "evaluate": f"{EVALUATE}; var = var * n / max(n - 1, 1)"
    },
    "eval after training uses epsilon 1e-05 where it is 0.3": {"evaluate": f"{EVALUATE}; var = var + 1e-5 - self.eps"},
    "in eval mode dx is wrong: dx of a sample depends on the dy of others": {
        "evaluate": f"{GRADIENT} - b[1].detach()"
    },
    "training normalizes by the running statistics": {
        "after": f"if self.training and self.num_batches_tracked > 3: {EVALUATE}; mean, var = mean.clone(), var.clone()"
    },
    "y of training after an eval is not normalized by the batch's statistics": {
        "init": "self.evaluated = False", "training": "self.training and not self.evaluated",
        "evaluate": f"{EVALUATE}; self.evaluated = True",
    },
    "copy.deepcopy loses the running mean": {"methods": LOSING.format(name="__deepcopy__", result=FRESH)},
    "pickle loses the running mean": {
        "methods": LOSING.format(name="__reduce_ex__", result="(MyBN, (self.weight.numel(), self.eps, self.momentum))")
    },
    "state_dict loses the running mean": {
        "init": "del self.running_mean; " + NOT_SAVED
    },
    "training keeps the graph of each batch in the running statistics": {
        "mean": "with torch.enable_grad(): self.running_mean = (1 - m) * self.running_mean + m * mean"
    },
    "eval after training uses the initial statistics": {
        "init": "self.kept = None",
        "evaluate": f"{EVALUATE}; self.kept = self.kept or (mean.clone(), var.clone()); mean, var = self.kept",
    },
    "with momentum=None the running mean is not the average": {"mean": f"m = m or 0.0; {RIGHT['mean']}"},
}  # fmt: skip


def module(**parts):
    """The file; a right module with PyTorch's conventions where nothing is given."""
    return MODULE.format(**{**RIGHT, **parts})
