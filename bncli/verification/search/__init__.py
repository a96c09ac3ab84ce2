"""Is a kernel right on problems that nobody typed? Search draws cases until one is WRONG or the time is up.

``case_line`` is a case in one line. ``sequence`` gives case i of a seed; ``contents`` and ``memory_layouts`` make its
arrays; ``call_history`` makes its calls; ``oracle`` judges what came back; ``trial`` gives the case its verdict;
``searching`` does all of that in turn.
"""
