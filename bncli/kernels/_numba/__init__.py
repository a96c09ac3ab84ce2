"""The rooms behind the kernel ``numba``: vectors, passes over tiles, statistics, and the engines that order them."""
