"""The checks of the contract: each says in a few words what is broken, or nothing."""
