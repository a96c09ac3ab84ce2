"""The checks of the contract: each returns a sentence about what is broken, or an empty string."""
