"""What does a kernel make of a batch?

In: cases and kernels. Out: the report of forward or backward, with a row for each array, and the arrays themselves.
Computes and describes; nothing here is judged or timed.
"""
