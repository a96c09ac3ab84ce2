"""How much of their time do workers wait for the scheduler? Run it: python tests/cluster/scheduler_load.py 64 256

All workers are in this process, and a block sleeps for 10 ms instead of computing, so that one machine stands for
many. Their own overhead counts too, in one thread with that of the scheduler: each has less on a machine of its own.
"""

import statistics
import sys
import time

import dask
import numpy as np
from distributed import Client, LocalCluster

from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import Moments, merge_moments

SECONDS = 0.01  # of a block
PASSES = 5
BLOCKS = (8, 32, 128)  # of a worker, in a pass


def slept(features):
    """The moments of a block, after a while."""
    time.sleep(SECONDS)
    return Moments(1, np.ones(features), np.ones(features))


def main(counts, features):
    for count in counts:
        with LocalCluster(n_workers=count, processes=False, threads_per_worker=1, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                for each in BLOCKS:
                    print(f"{count} workers, {each} blocks of each: {line(client, count, each, features)}", flush=True)


def line(client, count, each, features):
    """The median time of a pass, and the share of it in which workers wait."""
    runner, shares = engine.Workers(client, features), engine.shares(count * each, count)
    operands = [[[features] * (share.stop - share.start) for share in shares]]
    times = []
    for _ in range(1 + PASSES):
        start = time.perf_counter()
        found = runner.merged(slept, merge_moments, shares, operands)
        times.append(time.perf_counter() - start)
        assert found.samples == count * each
    median = statistics.median(times[1:])
    return f"{1000 * median:.0f} ms a pass, {1 - each * SECONDS / median:.1%} of it waiting"


if __name__ == "__main__":
    with dask.config.set({"distributed.worker.memory.terminate": False, "distributed.admin.log-length": 0}):
        main([int(word) for word in sys.argv[1:]] or [64, 256], features=64)
