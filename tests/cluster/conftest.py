"""A cluster of two workers, and what it is given."""

import numpy as np
import pytest

from bncli.cluster.session import session
from bncli.cluster.wanted import Wanted
from bncli.core.case import complete
from bncli.core.kernel import Gradients
from bncli.loading.registry import load_kernel
from cluster_runs import LIMIT, PROBLEM


@pytest.fixture(scope="session")
def cluster():
    with session(Wanted(workers=2, memory_limit=LIMIT), "float32") as found:
        yield found


@pytest.fixture(scope="session")
def case():
    x, dy = np.random.default_rng(1).normal(3, 2, (2, *PROBLEM.shape)).astype(PROBLEM.dtype)
    return complete(PROBLEM, {"x": x, "dy": dy}, seed=5)


@pytest.fixture(scope="session")
def alone(case):
    """What the kernel gives in this process."""
    kernel = load_kernel("dask")
    y, saved = kernel.forward(case.x, case.gamma, case.beta, PROBLEM.epsilon)
    return {"y": y, **saved._asdict(), **Gradients(*kernel.backward(case.dy, saved))._asdict()}


@pytest.fixture
def group(case, tmp_path):
    """A Zarr group of x and dy."""
    zarr = pytest.importorskip("zarr")
    found = zarr.open_group(str(tmp_path / "in.zarr"), mode="w")
    for name in ("x", "dy"):
        found.create_array(name, data=PROBLEM.own(getattr(case, name)), chunks=(1, 6, 5, 4))
    return tmp_path / "in.zarr"
