"""The peers' part of benchmarks/transport.py, run by an interpreter that has kinisi 2 and MDAnalysis.

    PYTHON benchmarks/transport_peers.py kinisi|msd WALKS.npz

Prints one line of JSON. WALKS.npz holds `positions` (walk, frame, ion, xyz), unwrapped, Å, and `interval_ps`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings

import MDAnalysis
import numpy as np

warnings.filterwarnings("ignore")

LAGS = 50
START_PS = 10.0
EDGE_A = 1000.0  # longer than any path: what is given unwrapped stays so


def universe(positions: np.ndarray) -> MDAnalysis.Universe:
    """Return a universe of Li in memory."""
    n_frames, n_ions, _ = positions.shape
    found = MDAnalysis.Universe.empty(n_ions, trajectory=True)
    found.add_TopologyAttr("types", ["Li"] * n_ions)
    found.add_TopologyAttr("names", ["Li"] * n_ions)
    box = np.tile([EDGE_A, EDGE_A, EDGE_A, 90.0, 90.0, 90.0], (n_frames, 1))
    found.load_new(positions.astype(np.float32) + np.float32(EDGE_A / 2), dimensions=box)
    return found


def by_kinisi(positions: np.ndarray, interval_ps: float) -> dict[str, float]:
    """Return tracer and collective D with their standard deviations, Å²/ps, and the CPU seconds that they took."""
    import scipp as sc
    from kinisi.analyze import DiffusionAnalyzer, JumpDiffusionAnalyzer

    started = time.process_time()
    last = len(positions) - 1
    lags = np.unique(np.rint(np.linspace(1, last, LAGS)).astype(int)) * interval_ps
    given = {
        "specie": "Li",
        "time_step": interval_ps * sc.Unit("ps"),
        "step_skip": 1 * sc.Unit("dimensionless"),
        "dt": sc.array(dims=["time interval"], values=lags, unit=sc.Unit("ps")),
        "progress": False,
    }
    start = START_PS * sc.Unit("ps")
    options = {
        "n_samples": 500,
        "n_walkers": 32,
        "n_burn": 250,
        "progress": False,
        "random_state": np.random.RandomState(1),
    }
    result = {}
    one = DiffusionAnalyzer.from_universe(universe(positions), **given)
    one.diffusion(start, **options)
    together = JumpDiffusionAnalyzer.from_universe(universe(positions), **given)
    together.jump_diffusion(start, **options)
    for name, samples in (("tracer", one.D), ("charge", together.D_J)):
        values = np.asarray(sc.to_unit(samples, "angstrom^2/ps", copy=False).values)
        result[name], result[f"{name}_error"] = float(values.mean()), float(values.std(ddof=1))
    result["cpu_s"] = time.process_time() - started
    return result


def main() -> None:
    """Run what the command line names."""
    what, path = sys.argv[1:]
    stored = np.load(path)
    walks, interval = stored["positions"], float(stored["interval_ps"])
    if what == "kinisi":
        found: object = [by_kinisi(walk, interval) for walk in walks]
    else:
        from MDAnalysis.analysis.msd import EinsteinMSD

        found = [
            EinsteinMSD(universe(walk), select="all", fft=False).run().results.timeseries.tolist() for walk in walks
        ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"found": found, "peak_MB": peak}))


main()
