"""How fast is a kernel? Measures, never prints."""
