"""One file is one format; it exports EXPORTER, and a file's suffix chooses it."""
