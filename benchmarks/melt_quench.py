"""What a step of a run costs beside the bare force call: integrator, guards, log, frames and checkpoints included.

    python benchmarks/melt_quench.py [--atoms 494] [--time-ps 2]

For each ensemble and thermostat one run of a melt at 1500 K; the share is the time inside the potential (with its
neighbour lists) over that of the whole run. Frames go to disk every 20 fs, checkpoints every 10 s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from ase import Atoms

from mlsim.composition import Composition
from mlsim.io.trajectories import TrajectoryRecorder
from mlsim.melt_quench import Schedule, Segment, pack, run_schedule
from mlsim.potential import load

FRAME_PS = 0.02


class Timed:
    """Calculator that adds up the time spent in it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.implemented_properties = inner.implemented_properties
        self.seconds, self.calls = 0.0, 0

    def calculate(self, *arguments: Any) -> None:
        """Pass on and look at the clock."""
        start = time.perf_counter()
        self.inner.calculate(*arguments)
        self.seconds += time.perf_counter() - start
        self.calls += 1

    @property
    def results(self) -> dict[str, Any]:
        """Return what the potential found."""
        return dict(self.inner.results)


def run(start: Atoms, ensemble: str, thermostat: str, time_ps: float, folder: Path, calculator: Timed) -> Atoms:
    """Do one run."""
    hold = Segment(kind="hold", ensemble=ensemble, thermostat=thermostat, temperature_K=1500, duration_ps=time_ps)
    recorder = TrajectoryRecorder(folder, start.get_chemical_symbols(), FRAME_PS)
    glass = run_schedule(
        start,
        Schedule(relax_steps=50, segments=(hold,)),
        calculator,
        directory=folder,
        seed=1,
        potential_sha256="benchmark",
        recorder=recorder,
        frame_interval_ps=FRAME_PS,
        checkpoint_interval_s=10.0,
    )
    recorder.finish()
    return glass.atoms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, default=494)
    parser.add_argument("--time-ps", type=float, default=2.0)
    parser.add_argument("--potential", default="lzoc-base")
    settings = parser.parse_args()
    packed = pack(Composition.parse("Li3ZrCl4O1.5"), settings.atoms, density_g_cm3=2.0, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm"
        melt = run(packed, "nvt", "langevin", 0.2, warm, Timed(load(settings.potential)))
        print(f"{settings.atoms} atoms, {settings.potential}")
        print("| ensemble | thermostat | force call, ms | whole step, ms | share |\n|---|---|---|---|---|")
        for ensemble in ("nvt", "npt"):
            for thermostat in ("langevin", "nose_hoover"):
                calculator = Timed(load(settings.potential))
                start = time.perf_counter()
                run(melt, ensemble, thermostat, settings.time_ps, Path(folder) / ensemble / thermostat, calculator)
                whole = (time.perf_counter() - start) / calculator.calls
                force = calculator.seconds / calculator.calls
                print(
                    f"| {ensemble} | {thermostat} | {1e3 * force:.2f} | {1e3 * whole:.2f} | {force / whole:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
