"""One file is one command; it exports COMMAND."""
