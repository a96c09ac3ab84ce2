"""How does a kernel run in a process of its own?

In: what --kernel names, and jobs: functions of a module with arguments that can be pickled. Out: an IsolatedKernel,
and what the jobs return. Whatever the kernel does to its process, bncli goes on.
"""
