"""The conventions of Flax and ONNX Runtime, measured: as the page says, and without a false alarm."""

import pytest

from bncli.loading.registry import load_kernel
from bncli.verification.finding import Verdict
from bncli.verification.layers import layer_findings
from framework_files import FLAX, ONNX

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("text", "needed"), [(FLAX, ["flax"]), (ONNX, ["onnx", "onnxruntime"])], ids=["Flax", "ONNX"])
def test_a_frameworks_layer_has_its_convention(text, needed, tmp_path):
    for module in needed:
        pytest.importorskip(module, reason=f"{module} is not installed")
    file = tmp_path / "layer.py"
    file.write_text(text, encoding="utf-8")
    kernel = load_kernel(str(file))
    for seed in range(5):
        found = {each.array: each for each in layer_findings.check(kernel, "float32", seed, "onnx")}
        assert {each.verdict for each in found.values()} == {Verdict.PASS}
    said = found["running statistics"].reason
    assert said.startswith("momentum is the weight of the old value; the variance is biased, as in Keras, Flax, ONNX")
