"""What are the results of a kernel on a batch?

In: cases and kernels. Out: the report of forward or backward, with a row for each array, and the arrays themselves.
Computes and describes; nothing is judged or timed here.
"""
