"""Kernels on a device: what is copied, what is waited for, and what is said, with a device that tests have made."""

import json

import numpy as np
import pytest

import bncli
from bncli.arrays import framework
from bncli.arrays import torch as tensors
from bncli.errors import InputError
from bncli.loading import _file_settings
from bncli.loading.call_arrays import CallArrays
from bncli.loading.registry import load_kernel
from command_line import run

SMALL = ("--shape", "6x5x4/channels-first", "--search", "0")
KERNEL = """
import numpy as np
from bncli.arrays.card import launch
arrays, device = "card", "card"
def forward(x, gamma, beta, epsilon):
    y, *saved = launch(_forward, 3, x, gamma, beta, epsilon)
    return y, (x, *saved)
def _forward(x, gamma, beta, epsilon):
    {before}
    std = (x.var((0, 2), keepdims=True) + epsilon) ** 0.5
    x_hat = (x - x.mean((0, 2), keepdims=True)) / std
    return gamma[:, None] * x_hat + beta[:, None], x_hat, gamma[:, None] / std
def backward(dy, saved):
    return launch(_backward, 3, dy, *saved)
def _backward(dy, x, x_hat, scale):
    {later}
    dx_hat = dy - dy.mean((0, 2), keepdims=True) - x_hat * (dy * x_hat).mean((0, 2), keepdims=True)
    return scale * dx_hat, (dy * x_hat).sum((0, 2)), dy.sum((0, 2))
"""


def write(before="pass", later="pass", **settings):
    text = KERNEL.format(before=before, later=later)
    for name, value in settings.items():
        text = text.replace('arrays, device = "card", "card"', f'arrays, device = "card", "card"\n{name} = {value!r}')
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.usefixtures("card")
def test_a_right_kernel_passes_and_its_device_is_said():
    write()
    result = run("gradcheck", "mine.py", *SMALL)
    assert "mine is a kernel on card: forward, backward" in result.stderr
    run("verify", "mine.py", "--search", "0", "--random", "normal", "--layout", "channels-first", "--dtype", "float64")


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("faulty", "says"),
    [
        ({"before": "x -= x.mean((0, 2), keepdims=True)"}, "forward writes into its x"),
        ({"later": "x *= 2"}, "backward writes into x"),
    ],
)
def test_a_change_of_the_inputs_on_the_device_is_found(faulty, says):
    write(**faulty)
    result = run("gradcheck", "mine.py", *SMALL, code=1)
    assert says in " ".join(result.stdout.split())


OTHERS = """
def infer(x, gamma, beta, mean, var, epsilon):
    y, *saved = launch(_infer, 3, x, gamma, beta, mean, var, epsilon)
    return y, saved
def _infer(x, gamma, beta, mean, var, epsilon):
    std = (var[:, None] + epsilon) ** 0.5
    x_hat = (x - mean[:, None]) / std
    return gamma[:, None] * x_hat + beta[:, None], x_hat, gamma[:, None] / std
def infer_backward(dy, saved):
    return launch(lambda dy, x_hat, scale: (scale * dy, (dy * x_hat).sum((0, 2)), dy.sum((0, 2))), 3, dy, *saved)
def reduce(dy, x, mean, inv_std):
    return launch(_reduce, 2, dy, x, mean, inv_std)
def _reduce(dy, x, mean, inv_std):
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    return dy.sum((0, 2)), (dy * x_hat).sum((0, 2))
"""


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("", "", ""),
        ("(scale * dy", "(2 * scale * dy", "dx of inference is 2 times what it should be"),
        ("* inv_std[:, None]\n    return dy", "\n    return dy", "inv_std"),
    ],
)
def test_inference_and_parts_of_a_batch_are_judged_on_a_device(card, monkeypatch, right, wrong, says):
    monkeypatch.setattr(card, "SLOW", 0.0)
    write()
    with open("mine.py", "a", encoding="utf-8") as file:
        file.write(OTHERS.replace(right, wrong) if right else OTHERS)
    given = ("--search", "0", "--random", "normal", "--layout", "channels-first", "--dtype", "float64")
    result = run("verify", "mine.py", *given, code=int(bool(says)))
    assert says in " ".join(result.stdout.split())


def test_a_device_that_is_not_there_is_said_in_one_line(card, monkeypatch):
    write()
    monkeypatch.setattr(card, "present", False)
    said = run("gradcheck", "mine.py", *SMALL, code=3).stderr.splitlines()
    assert said == ["bncli: error: kernel 'mine.py' cannot run here: it needs card, and there is no such device here"]


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("device", ["chart", 3])
def test_a_device_of_no_known_name_is_wrong_input(device):
    write(device=device)
    said = run("gradcheck", "mine.py", *SMALL, code=2).stderr.splitlines()
    assert len(said) == 1
    assert f"its device is {device!r}" in said[0]


def test_dispatch_is_never_a_time(card):
    write()
    slow = 0.9 * card.SLOW
    found = bncli.bench(["mine.py", "numpy"], "6x5x4/channels-first/float64/eps=0.001", max_time=0.1)
    found.raise_if_failed()
    times = {(row["kernel"], row["direction"]): row["median"] for row in found.rows}
    limits = {"copy on card": "forward", "add on card": "backward"}
    assert min(times["mine", each] for each in limits.values()) > slow
    assert min(times[each, "limit"] for each in limits) > slow
    assert max(times["numpy", each] for each in limits.values()) < slow
    assert card.waits.count("card") == len(card.waits)


@pytest.mark.usefixtures("card")
def test_each_device_has_the_roofline_of_its_framework():
    write()
    run("bench", "mine.py", "numpy", "--shape", "6x5x4/channels-first", "--max-time", "0.1", "--export", "a.json")
    with open("a.json", encoding="utf-8") as file:
        found = json.load(file)
    assert found["environment"]["device"] == "card (Model 1)"
    limits = {row["kernel"]: row for row in found["rows"] if row["direction"] == "limit"}
    assert set(limits) == {"copy", "add", "copy on card", "add on card"}
    assert limits["copy on card"]["way"] == "card"
    for row in found["rows"]:
        own = {"mine": "copy on card", "numpy": "copy"}.get(row["kernel"])
        if own and row["direction"] == "forward":
            assert row.get("device") == limits[own].get("device")
            assert row["of_limit"] == pytest.approx(row["median"] / limits[own]["median"], rel=0.5)
    run("compare", "a.json", "a.json")


LAYOUTS = {
    "contiguous": lambda a: a,
    "every second": lambda a: np.repeat(a, 2, 0)[::2],
    "transposed": lambda a: np.asfortranarray(a),
    "misaligned": lambda a: np.concatenate(([0], a.ravel()))[1:].reshape(a.shape),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "read-only": lambda a: np.frombuffer(bytearray(a.tobytes()), a.dtype).reshape(a.shape),
}


@pytest.mark.parametrize("place", LAYOUTS.values(), ids=LAYOUTS)
def test_a_copy_of_torch_keeps_the_strides_and_what_is_written_returns(place):
    pytest.importorskip("torch")
    array = place(np.arange(24.0).reshape(2, 3, 4))
    array.flags.writeable = False
    before = array.copy()
    taken = CallArrays(framework("torch"), "cpu")  # copied, like one of another device
    value = taken.take(array)
    assert value.stride() == tuple(stride // 8 for stride in array.strides)
    assert value.data_ptr() % 16 == array.ctypes.data % 16
    assert (taken.give(value) == array).all()
    value[0, 0, 0] = np.nan
    assert (array == before).all()
    taken.write_back()
    assert np.isnan(array[0, 0, 0])
    array.flags.writeable = place is not LAYOUTS["broadcast"]
    if array.flags.writeable:
        array[0, 0, 0] = 7
        CallArrays(framework("torch"), "cpu", earlier=taken)
        assert value[0, 0, 0] == 7


OF_TORCH = {
    "a Function": """
import torch
class MyBN(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, beta, eps):
        inv_std = (x.var((0, 2), unbiased=False, keepdim=True) + eps).rsqrt()
        x_hat = (x - x.mean((0, 2), keepdim=True)) * inv_std
        ctx.save_for_backward(x, x_hat, inv_std, gamma)
        return x_hat * gamma[:, None] + beta[:, None]
    @staticmethod
    def backward(ctx, dy):
        x, x_hat, inv_std, gamma = ctx.saved_tensors
        dx_hat = dy - dy.mean((0, 2), keepdim=True) - x_hat * (dy * x_hat).mean((0, 2), keepdim=True)
        return gamma[:, None] * inv_std * dx_hat, (dy * x_hat).sum((0, 2)), dy.sum((0, 2)), None
""",
    "a Module": "import torch\nclass MyBN(torch.nn.BatchNorm1d): pass\n",
    "a function": "from torch.nn.functional import batch_norm\ndef MyBN(x, gamma, beta, epsilon):\n"
    "    return batch_norm(x, None, None, gamma, beta, True, 0.0, epsilon)\n",
}  # fmt: skip
DAMAGE = [
    ("a Function", "inv_std = (x.var", "x.sub_(1); inv_std = (x.var", "forward"),
    (
        "a Function",
        "x, x_hat, inv_std, gamma =",
        "ctx.saved_tensors[0].data.sub_(1); x, x_hat, inv_std, gamma =",
        "backward",
    ),
    ("a function", "    return", "    x.sub_(1)\n    return", "forward"),
]


@pytest.fixture
def _copied(monkeypatch, tmp_path):
    """The device of every file is "cpu", to which tensors are copied like to another device."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_file_settings, "device", lambda source: "cpu")


@pytest.mark.usefixtures("_copied")
@pytest.mark.parametrize("text", OF_TORCH.values(), ids=OF_TORCH)
def test_objects_of_torch_are_right_on_a_device(text):
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write(f'arrays = "torch"\n{text}')
    result = run("gradcheck", "mine.py:MyBN", *SMALL)
    assert " on cpu: forward, backward" in result.stderr
    run("bench", "mine.py:MyBN", "--shape", "6x5x4/channels-first", "--max-time", "0.1", "--pass", "forward")


@pytest.mark.usefixtures("_copied")
@pytest.mark.parametrize(("kind", "right", "wrong", "where"), DAMAGE)
def test_damage_by_objects_of_torch_is_found_on_a_device(kind, right, wrong, where):
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write('arrays = "torch"\n' + OF_TORCH[kind].replace(right, wrong))
    assert f"{where} writes into" in " ".join(run("gradcheck", "mine.py:MyBN", *SMALL, code=1).stdout.split())


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_device_that_a_framework_does_not_know_or_see(name):
    pytest.importorskip(name)
    own = framework(name)
    with pytest.raises(InputError, match="'chart', which"):
        own.available("chart")
    assert "sees no such device here" in own.available("cuda:99")


def test_a_result_on_another_device_is_an_error():
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError, match="a result is on meta: return it on the device of x, the cpu"):
        tensors.give(torch.zeros(3, device="meta"))


def test_numpy_has_no_other_device(tmp_path):
    (tmp_path / "mine.py").write_text('device = "cuda"\ndef forward(x, gamma, beta, epsilon): return x\n')
    assert "NumPy computes on the CPU" in run("gradcheck", str(tmp_path / "mine.py"), *SMALL, code=2).stderr


def test_a_kernel_knows_its_device(card):
    write()
    assert str(load_kernel("mine.py").device) == "card (Model 1)"
