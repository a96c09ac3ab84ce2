"""The seeded faults: one right kernel in steps, each with a fault in one step or in its behaviour."""
