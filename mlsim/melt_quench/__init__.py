"""Composition + Schedule + calculator → Glass: random packing, melt, quench, density, and molecular dynamics."""

from __future__ import annotations

from mlsim.melt_quench.batch import BatchDynamics, Moment, Replica, run_batch
from mlsim.melt_quench.frames import Frame, FrameRecorder
from mlsim.melt_quench.glass import Glass, ThermoLog
from mlsim.melt_quench.glass_transition import GlassTransition, QuenchCurve, glass_transition, quench_curve
from mlsim.melt_quench.guards import Limits
from mlsim.melt_quench.memory import ElementMemory, melt_memory
from mlsim.melt_quench.pack import default_minimum_distances, pack
from mlsim.melt_quench.rocksalt import RocksaltDomains, rocksalt_domains
from mlsim.melt_quench.run import run_schedule
from mlsim.melt_quench.schedule import Schedule, Segment, hold_schedule, production_schedule, quick_schedule

__all__ = [
    "BatchDynamics",
    "ElementMemory",
    "Frame",
    "FrameRecorder",
    "Glass",
    "GlassTransition",
    "Limits",
    "Moment",
    "QuenchCurve",
    "Replica",
    "RocksaltDomains",
    "Schedule",
    "Segment",
    "ThermoLog",
    "default_minimum_distances",
    "glass_transition",
    "hold_schedule",
    "melt_memory",
    "pack",
    "production_schedule",
    "quench_curve",
    "quick_schedule",
    "rocksalt_domains",
    "run_batch",
    "run_schedule",
]
