"""Composition + Schedule + calculator → Glass: random packing, melt, quench, density, and molecular dynamics."""

from __future__ import annotations

from mlsim.melt_quench.frames import Frame, FrameRecorder
from mlsim.melt_quench.glass import Glass, ThermoLog
from mlsim.melt_quench.glass_transition import GlassTransition, glass_transition
from mlsim.melt_quench.pack import default_minimum_distances, pack
from mlsim.melt_quench.run import run_schedule
from mlsim.melt_quench.schedule import Schedule, Segment, hold_schedule, production_schedule, quick_schedule

__all__ = [
    "Frame",
    "FrameRecorder",
    "Glass",
    "GlassTransition",
    "Schedule",
    "Segment",
    "ThermoLog",
    "default_minimum_distances",
    "glass_transition",
    "hold_schedule",
    "pack",
    "production_schedule",
    "quick_schedule",
    "run_schedule",
]
