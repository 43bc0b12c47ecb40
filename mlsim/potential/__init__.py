"""Potentials: the only importer of torch and mace."""
