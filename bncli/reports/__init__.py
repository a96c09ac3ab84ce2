"""One file is one check over cases and kernels, as a report: what a program calls, and what a command prints."""
