"""How does a kernel run in a process of its own?

In: a word for --kernel, and jobs: functions of a module with arguments that can be pickled. Out: an IsolatedKernel,
and the results of the jobs. If the kernel crashes its process or hangs, bncli goes on.
"""
