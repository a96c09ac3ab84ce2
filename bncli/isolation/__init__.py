"""A kernel in a process of its own, so that whatever it does, bncli goes on."""
