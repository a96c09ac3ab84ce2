"""Private parts of the kernel ``dask``: compiled passes over a block, merging, and the graph of tasks."""
