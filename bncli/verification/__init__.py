"""Is a kernel right, and how exact is it? Measures, never prints."""
