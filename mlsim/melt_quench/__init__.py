"""Melt-quench: packing, schedule, dynamics, checkpoints."""
