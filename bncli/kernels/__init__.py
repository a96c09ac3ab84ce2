"""Which kernels does bncli have?

In: canonical arrays (N, F, S). Out: y and saved, the gradients, or y from given statistics.
One file is one kernel; it exports KERNEL, and the file's name is the kernel's.
"""
