"""The passes of a kernel that are timed."""

from dataclasses import replace

import numpy as np

from bncli.benchmarking.buffers import outputs_for
from bncli.benchmarking.passes import FRESH, GIVEN, MOVED, passes
from bncli.loading.registry import load_kernel


def training(kernel, case):
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return y, kernel.backward(case.dy, saved)


def test_passes_are_those_of_the_kernel(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpy")
    found = passes(kernel, [case], tuple(MOVED))
    assert [each.key.direction for each in found] == list(MOVED)
    assert {each.key.outputs for each in found} == {FRESH}
    forward, backward, infer, step = (each.makes[0]().run for each in found)
    y, gradients = training(kernel, case)
    assert (forward()[0] == y).all()
    for actual, expected in zip(step(), (y, *gradients), strict=True):
        assert (actual == expected).all()
    for actual, expected in zip(backward(), gradients, strict=True):
        assert (actual == expected).all()
    expected = case.gamma[:, None] * case.x / np.sqrt(1 + case.problem.epsilon) + case.beta[:, None]
    np.testing.assert_allclose(infer(), expected, rtol=1e-12)
    for each in found:
        assert each.first > 0
        for first, second in zip(each.results().values(), each.results().values(), strict=True):
            assert not np.shares_memory(first, second)


def test_results_have_the_names_that_verification_gives_them(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpy")
    y, gradients = training(kernel, case)
    forward, backward, infer, step = (each.results() for each in passes(kernel, [case], tuple(MOVED)))
    assert (forward["y"] == y).all()
    assert list(step) == ["y", *backward]
    assert list(backward) == ["dx", "dgamma", "dbeta"]
    assert (backward["dx"] == gradients[0]).all()
    assert list(infer) == ["infer"]


def test_there_is_a_call_for_each_copy_of_the_case(make_case):
    copies = [make_case("5x4x4x3", seed) for seed in range(3)]
    kernel = load_kernel("numpy")
    for outputs in ([], [outputs_for(copies[0])], [outputs_for(copy) for copy in copies]):
        forward, backward = passes(kernel, copies, outputs=outputs)
        for copy, forth, back in zip(copies, forward.makes, backward.makes, strict=True):
            y, gradients = training(kernel, copy)
            assert (forth().run()[0] == y).all()
            assert (back().run()[0] == gradients[0]).all()
    assert forward.makes[1]().run()[0] is outputs[1].y


def test_given_outputs_are_written_to_every_time(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpy")
    outputs = outputs_for(case)
    found = passes(kernel, [case], ("forward", "backward", "infer"), [outputs])
    assert {each.key.outputs for each in found} == {GIVEN}
    forward, backward, infer = (each.makes[0]().run for each in found)
    y, gradients = training(kernel, case)
    outputs.poison()
    assert forward()[0] is outputs.y
    assert (outputs.y == y).all()
    assert infer() is outputs.y
    # Neither forward nor inference, writing where they all write, changed what backward starts from.
    assert all(actual is given for actual, given in zip(backward(), outputs.gradients, strict=True))
    for actual, expected in zip(outputs.gradients, gradients, strict=True):
        assert (actual == expected).all()


def test_a_kernel_that_saves_its_output_is_not_confused_by_what_others_write_there(make_case):
    case = make_case("5x4x4x3")
    numpy = load_kernel("numpy")

    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = numpy.forward(x, gamma, beta, epsilon, out=out)
        return y, (y, saved)

    def backward(dy, saved, *, out=None):
        y, rest = saved
        assert np.isfinite(y).all()
        return numpy.backward(dy, rest, out=out)

    outputs = outputs_for(case)
    found = passes(replace(numpy, forward=forward, backward=backward), [case], outputs=[outputs])
    outputs.poison()
    assert np.isnan(outputs.y).all()
    found[1].makes[0]().run()


def test_a_kernel_without_inference_has_no_such_pass(make_case):
    kernel = replace(load_kernel("numpy"), infer=None)
    found = passes(kernel, [make_case("5x4x4x3")], ("infer", "forward"))
    assert [each.key.direction for each in found] == ["forward"]
