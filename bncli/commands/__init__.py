"""What can be typed?

In: words of a command line. Out: a report that is printed and saved, and an exit code.
One file is one command: it exports COMMAND, declares options and calls other rooms, which compute.
"""
