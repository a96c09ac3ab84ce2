"""How is a kernel loaded?

In: a name, file or module for --kernel, or a module or object of a program. Out: a Kernel, and a guard for its calls.
Errors, output and changes of settings by users' code are contained here, and the result of each call is checked.
"""
