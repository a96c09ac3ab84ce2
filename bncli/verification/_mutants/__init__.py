"""The seeded faults: one right kernel in steps, and what is wrong with a step of it or with its manners."""
