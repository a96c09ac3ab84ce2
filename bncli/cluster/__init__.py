"""What if no memory holds the batch?

In: a Lazy batch, or one to spread over workers. Out: rows about its arrays, files written block by block, and times.
The blocks are worked on by a Dask cluster, from storage to storage.
"""
