"""Atomic writing for the modules of `mlsim.io`; the code is in `mlsim.atomic`, where every layer can reach it."""

from mlsim.atomic import atomic_path, atomic_write_bytes, atomic_write_text, remove_leftovers

__all__ = ["atomic_path", "atomic_write_bytes", "atomic_write_text", "remove_leftovers"]
