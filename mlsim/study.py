"""One study: its settings and its stages."""
