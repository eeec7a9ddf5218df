"""One Python file per experiment; `get_config()` returns its ConfigDict."""
