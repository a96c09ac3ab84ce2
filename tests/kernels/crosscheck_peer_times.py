"""What bench times of the peers; run by name where all of them are installed."""

import numpy as np
import pytest

from bncli.benchmarking.buffers import outputs_for
from bncli.benchmarking.passes import passes
from bncli.core.kernel import Gradients
from bncli.loading.registry import load_kernel

PEERS = ("torch", "onednn", "inductor", "jax")


def results(y, gradients):
    return {"y": y, **Gradients(*gradients)._asdict()}


@pytest.mark.parametrize("name", PEERS)
def test_what_is_timed_of_a_peer_gives_its_results(make_case, name):
    case, kernel = make_case("6x3x5x4/channels-first/float32"), load_kernel(name)
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    expected = results(y, kernel.backward(case.dy, saved))
    y, saved = kernel.prepare("forward", case.x, case.gamma, case.beta, case.problem.epsilon).run()
    gradients = kernel.prepare("backward", case.dy, saved).run()
    for array, value in results(y, gradients).items():
        np.testing.assert_array_equal(value, expected[array])


@pytest.mark.parametrize("name", PEERS)
def test_the_time_with_given_outputs_includes_the_copy_into_them(make_case, name):
    case, kernel = make_case("6x3x5x4/channels-first/float32"), load_kernel(name)
    outputs = outputs_for(case)
    forward, backward, infer = passes(kernel, [case], ("forward", "backward", "infer"), [outputs])
    assert forward.makes[0]().prepared.call()[0] is outputs.y
    assert backward.makes[0]().prepared.call()[0] is outputs.gradients.dx
    assert infer.makes[0]().prepared.call() is outputs.y
