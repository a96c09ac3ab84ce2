"""The fixture that pytest has from bncli, in a test of a user's own."""

from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

RIGHT = """
class MyBN:
    @staticmethod
    def forward(x, gamma, beta, epsilon):
        std = (x.var((0, 2), keepdims=True) + epsilon) ** 0.5
        x_hat = (x - x.mean((0, 2), keepdims=True)) / std
        return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma[:, None] / std)

    @staticmethod
    def backward(dy, saved):
        x_hat, scale = saved
        dx_hat = dy - dy.mean((0, 2), keepdims=True) - x_hat * (dy * x_hat).mean((0, 2), keepdims=True)
        return scale * dx_hat, (dy * x_hat).sum((0, 2)), dy.sum((0, 2))

def test_bn(bncli):
    bncli.gradcheck(MyBN, "6x5x4/channels-first").raise_if_failed()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "outcome"), [(RIGHT, {"passed": 1}), (RIGHT.replace(" - x_hat * (dy", " + x_hat * (dy"), {"failed": 1})]
)
def test_the_fixture_checks_an_object(pytester, text, outcome):
    pytester.makepyfile(text)
    # Where bncli is installed, pytest knows it already.
    known = any(point.name == "bncli" for point in entry_points(group="pytest11"))
    found = pytester.runpytest_subprocess(*(() if known else ("-p", "bncli.pytest_plugin")))
    found.assert_outcomes(**outcome)
    if "failed" in outcome:
        found.stdout.fnmatch_lines(["*CheckFailed: MyBN: dx is WRONG*"])
