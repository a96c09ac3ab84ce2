"""How is a batch processed that no memory holds?

In: a Lazy batch, or one to spread over workers. Out: rows about its arrays, files written block by block, and times.
A Dask cluster processes the blocks, from storage to storage.
"""
