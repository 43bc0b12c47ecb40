"""Command line: read, call, write; no physics."""
