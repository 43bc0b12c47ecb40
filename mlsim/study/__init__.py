"""One study: its settings and its stages, resumable; from a formula to a table beside the published values."""

from __future__ import annotations

from mlsim.study.manifest import folder_lock, manifest_of, settings_difference
from mlsim.study.potentials import LoadedWhenNeeded, ModelFile, PotentialSource, committee_limits, require_elements
from mlsim.study.quench_series import QuenchRate, changes_per_decade, run_quench_series
from mlsim.study.runner import StudyOutcome, StudyProgress, run_study
from mlsim.study.settings import StudySettings, read_study, shipped_study
from mlsim.workers import WorkerDied

__all__ = [
    "LoadedWhenNeeded",
    "ModelFile",
    "PotentialSource",
    "QuenchRate",
    "StudyOutcome",
    "StudyProgress",
    "StudySettings",
    "WorkerDied",
    "changes_per_decade",
    "committee_limits",
    "folder_lock",
    "manifest_of",
    "read_study",
    "require_elements",
    "run_quench_series",
    "run_study",
    "settings_difference",
    "shipped_study",
]
