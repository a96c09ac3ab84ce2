"""The door: how does a kernel come in?

In: what --kernel names, or a module or object that a program has. Out: a Kernel, guarded where it is called.
What somebody else's code raises, prints or changes is contained here, and each call's result is checked.
"""
