"""How much of their time do workers wait? Run it: python tests/cluster/scheduler_load.py 64 256

All workers are threads of this process, and a block sleeps for 10 ms instead of computing, so that one machine stands
for many. The workers' own work on messages counts too: it shares a core with that of the scheduler and the client.
What each worker observes of itself all the time is switched off.
"""

import statistics
import sys
import time
from operator import add

import dask
from distributed import Client, LocalCluster

from bncli.kernels.dask import merging, runners

SECONDS = 0.01  # of a block
BLOCKS = (8, 32, 128)  # of a worker, in a pass
PASSES = 5
OBSERVED = ("admin.tick.interval", "admin.tick.cycle", "admin.system-monitor.interval")


def slept(block):
    """The result of a block, after a while."""
    time.sleep(SECONDS)
    return 1


def waiting(client, workers, each):
    """The median time of a pass over ``each`` blocks of a worker, and the share of it in which workers wait."""
    runner, shares = runners.Workers(client, features=1), merging.shares(workers * each, workers)
    blocks, times = [range(share.start, share.stop) for share in shares], []
    for _ in range(1 + PASSES):
        start = time.perf_counter()
        assert runner.merged(slept, add, shares, [blocks]) == workers * each
        times.append(time.perf_counter() - start)
    median = statistics.median(times[1:])
    return median, 1 - each * SECONDS / median


if __name__ == "__main__":
    sys.setswitchinterval(1e-4)  # a worker of its own would not wait for the threads of others
    dask.config.set({"distributed.worker.profile.enabled": False})
    dask.config.set({f"distributed.{what}": "1h" for what in OBSERVED})
    for workers in [int(word) for word in sys.argv[1:]] or [64, 256]:
        options = {"processes": False, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}
        with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
            for each in BLOCKS:
                seconds, share = waiting(client, workers, each)
                sys.stdout.write(f"{workers} workers, {each} blocks each: {seconds:.3f} s, waiting {share:.1%}\n")
                sys.stdout.flush()
