"""Batches that no memory need hold: blocks of them on the workers of a Dask cluster, from storage to storage."""
