"""Transport: do the errors hold, beside kinisi and a plain fit; how long it takes; does the displacement agree.

    python benchmarks/transport.py calibration [--seeds 60] [--done FILE] [--peers PYTHON] [--only PART]
    python benchmarks/transport.py charge
    python benchmarks/transport.py speed [--peers PYTHON] [--growth]
    python benchmarks/transport.py agreement --peers PYTHON

PYTHON is an interpreter that has kinisi 2 and MDAnalysis (pip install 'kinisi>=2.1' MDAnalysis); they need not share
the environment of mlsim.

Walks: ions hop 2.5 Å at random times and share a common step, so that tracer D, charge D = 1.5 D and Haven ratio = 2/3
are known exactly; they rattle in cages (0.3 Å in each direction, as many framework atoms 0.15 Å), and the whole cell
drifts. Arrhenius with 0.30 eV between 500 and 650 K. In the parts "back" a share of the hops leads straight back to
where the ion came from, and hops are more frequent, so that the same diffusivities remain.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mlsim.trajectory import Trajectory
from mlsim.transport import FitWindow, arrhenius, diffusivities, haven_ratio, mean_squared_displacement
from mlsim.transport.diffusion import slope_estimate

BOLTZMANN = 8.617333262e-5
ENERGY_EV, PREFACTOR = 0.30, 0.05 * math.exp(0.30 / (BOLTZMANN * 600.0))  # Å²/ps: 0.05 at 600 K
KELVINS = (500.0, 550.0, 600.0, 650.0)
HAVEN, HOP_A, CAGE_A, FRAMEWORK_A, N_FRAMES = 2 / 3, 2.5, 0.3, 0.15, 2000
QUANTITIES = ("tracer D", "charge D", "Haven ratio", "Ea", "ln sigma(298 K)")
PARTS = {  # ions, glasses, their spread, share of hops that lead straight back
    "100x1": (100, 1, 0.0, 0.0),
    "500x1": (500, 1, 0.0, 0.0),
    "100x4": (100, 4, 0.15, 0.0),
    "100x1-back": (100, 1, 0.0, 0.3),
    "500x1-back": (500, 1, 0.0, 0.3),
}
HERE = Path(__file__).parent


def diffusivity_at(kelvin: float) -> float:
    """Return the true tracer D, Å²/ps."""
    return PREFACTOR * math.exp(-ENERGY_EV / (BOLTZMANN * kelvin))


def walk(
    rng: np.random.Generator,
    n_ions: int,
    kelvin: float,
    factor: float = 1.0,
    n_frames: int = N_FRAMES,
    back_hops: float = 0.0,
) -> Trajectory:
    """Return a walk of Li in a drifting framework of Zr, frames 1 ps apart."""
    variance = 2 * diffusivity_at(kelvin) * factor
    common = (1 / HAVEN - 1) / (n_ions - 1)
    rate = 3 * variance * (1 - common) / HOP_A**2
    if back_hops:
        steps = steps_with_memory(rng, n_ions, n_frames, rate, back_hops)
    else:
        hops = rng.poisson(rate, (n_frames, n_ions))
        direction = rng.normal(size=(n_frames, n_ions, 3)).astype(np.float32)
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        steps = direction * (HOP_A * np.sqrt(hops))[..., None]
    steps += rng.normal(0, math.sqrt(variance * common), (n_frames, 1, 3))
    lithium = np.cumsum(steps, axis=0)
    positions = np.concatenate([lithium, np.zeros((n_frames, n_ions, 3))], axis=1)
    positions[:, :n_ions] += rng.normal(0, CAGE_A, (n_frames, n_ions, 3))
    positions[:, n_ions:] += rng.normal(0, FRAMEWORK_A, (n_frames, n_ions, 3))
    positions += np.cumsum(rng.normal(0, 0.05, (n_frames, 1, 3)), axis=0)
    return Trajectory(positions, np.eye(3) * 30.0, ("Li",) * n_ions + ("Zr",) * n_ions, 1.0, kelvin)


def steps_with_memory(
    rng: np.random.Generator, n_ions: int, n_frames: int, rate: float, back_hops: float
) -> np.ndarray:
    """Return displacements from frame to frame, Å, of hops of which a share leads straight back.

    Their correlation factor is (1 − p)/(1 + p), so that they diffuse as hops without memory at `rate` per frame do.
    """
    steps = np.zeros((n_frames, n_ions, 3), dtype=np.float32)
    for ion in range(n_ions):
        times = rng.uniform(0, n_frames, rng.poisson(n_frames * rate * (1 + back_hops) / (1 - back_hops)))
        hops = rng.normal(size=(len(times), 3))
        hops *= HOP_A / np.linalg.norm(hops, axis=1, keepdims=True)
        back = rng.uniform(size=len(times)) < back_hops
        for n in range(1, len(hops)):
            if back[n]:
                hops[n] = -hops[n - 1]
        np.add.at(steps[:, ion], np.sort(times).astype(int), hops)
    return steps


def ours(runs: dict[float, list[Trajectory]]) -> dict[str, list[tuple[float, float]]]:
    """Return relative deviations from the truth and claimed errors, by quantity."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in QUANTITIES}
    points = []
    for kelvin, group in runs.items():
        tracer, charge = diffusivities(group, "Li", temperature_K=kelvin)
        points.append(tracer)
        truth = diffusivity_at(kelvin) * 1e-4
        found["tracer D"].append(deviation(tracer.diffusivity.value, tracer.diffusivity.standard_error, truth))
        if charge.diffusive:
            found["charge D"].append(
                deviation(charge.diffusivity.value, charge.diffusivity.standard_error, truth / HAVEN)
            )
        ratio = haven_ratio(tracer, charge)
        if ratio is not None:
            found["Haven ratio"].append(deviation(ratio.value, ratio.standard_error, HAVEN))
    fit = arrhenius(points)
    room = fit.diffusivity_interval(298.0, 0.6827)
    found["Ea"].append(deviation(fit.activation_energy.value, fit.activation_energy.standard_error, ENERGY_EV))
    away = math.log(fit.diffusivity_at(298.0).value / (diffusivity_at(298.0) * 1e-4))
    found["ln sigma(298 K)"].append((away, math.log(room.high / room.low) / 2))
    return found


def deviation(value: float, error: float | None, truth: float) -> tuple[float, float]:
    """Return (value − truth)/truth and error/truth."""
    return value / truth - 1, (error or math.nan) / truth


def plain(runs: dict[float, list[Trajectory]]) -> dict[str, list[tuple[float, float]]]:
    """Return what numpy.polyfit of the mean squared displacement gives, with the errors that it claims."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in QUANTITIES}
    ln_d, errors = [], []
    for kelvin, group in runs.items():
        truth, ratio = diffusivity_at(kelvin), []
        lithium = np.mean([relative_to_framework(t) for t in group], axis=0) if len(group) == 1 else None
        paths = [relative_to_framework(t) for t in group] if lithium is None else [lithium]
        for name, scale, curves in (
            ("tracer D", truth, [squared(p) for p in paths]),
            ("charge D", truth / HAVEN, [squared(p.sum(axis=1, keepdims=True)) / p.shape[1] for p in paths]),
        ):
            curve = np.mean(curves, axis=0)
            lag = np.arange(1, len(curve) + 1)
            coefficients, covariance = np.polyfit(lag, curve, 1, cov=True)
            value, error = coefficients[0] / 6, math.sqrt(covariance[0, 0]) / 6
            ratio.append((value, error))
            found[name].append(deviation(value, error, scale))
        (d, d_error), (c, c_error) = ratio
        found["Haven ratio"].append(deviation(d / c, d / c * math.hypot(d_error / d, c_error / c), HAVEN))
        ln_d.append(math.log(d))
        errors.append(d_error / d)
    inverse = 1 / (BOLTZMANN * np.array(list(runs)))
    coefficients, covariance = np.polyfit(inverse, ln_d, 1, w=1 / np.array(errors), cov="unscaled")
    found["Ea"].append(deviation(-coefficients[0], math.sqrt(covariance[0, 0]), ENERGY_EV))
    room = np.array([1 / (BOLTZMANN * 298.0), 1.0])
    away = float(room @ coefficients) - math.log(diffusivity_at(298.0))
    found["ln sigma(298 K)"].append((away, math.sqrt(float(room @ covariance @ room))))
    return found


def relative_to_framework(trajectory: Trajectory) -> np.ndarray:
    """Return positions of Li against the mean of Zr, Å, shape (frame, ion, xyz)."""
    n_li = len(trajectory.atoms_of("Li"))
    return np.asarray(trajectory.positions[:, :n_li] - trajectory.positions[:, n_li:].mean(axis=1, keepdims=True))


def squared(paths: np.ndarray) -> np.ndarray:
    """Return the mean squared displacement at the lags 1 to half of the frames."""
    lone = Trajectory(paths, np.eye(3), ("Li",) * paths.shape[1], 1.0)
    lags = np.arange(1, len(paths) // 2)
    return mean_squared_displacement(lone, "Li", drift="none", lags=lags).msd_A2


def table(title: str, collected: list[dict[str, list[tuple[float, float]]]]) -> None:
    """Print bias, real scatter and rms z of each quantity."""
    print(f"\n{title}")
    heads = f"{'quantity':<16} {'n':>4} {'bias %':>14} {'scatter %':>10} {'claimed %':>10}"
    print(f"{heads} {'rms z':>6} {'|z|<1':>6} {'|z|<2':>6}")
    for name in QUANTITIES:
        pairs = np.array([pair for each in collected for pair in each.get(name, [])])
        if not len(pairs):
            continue
        away, claimed = pairs.T
        z = away / claimed
        n, bias = len(away), f"{100 * away.mean():.2f} ± {100 * away.std() / math.sqrt(len(away)):.2f}"
        inside = [(np.abs(z) < k).mean() for k in (1, 2)]
        print(
            f"{name:<16} {n:>4} {bias:>14} {100 * away.std():>10.2f} {100 * np.median(claimed):>10.2f} "
            f"{math.sqrt(np.mean(z**2)):>6.2f} {inside[0]:>6.2f} {inside[1]:>6.2f}"
        )


def calibration(seeds: range, peers: str | None, only: str | None, done: Path | None) -> None:
    """Print the calibration table, or one part of it; `done` keeps finished seeds of an interrupted run."""
    print(f"seeds {seeds.start} to {seeds.stop - 1}, {N_FRAMES} ps, 4 temperatures; deviations relative to the truth")
    for part, (n_ions, n_glasses, differ, back) in PARTS.items():
        if only not in (None, part):
            continue
        found = [of_seed(part, seed, done) for seed in seeds]
        say = f"{n_glasses} glasses that differ by {differ:.0%}" if n_glasses > 1 else "1 run a temperature"
        say += f", {back:.0%} of hops straight back" if back else ""
        table(f"mlsim, {n_ions} ions, {say}", [each["ours"] for each in found])
        if n_glasses == 1:
            table(f"plain polyfit, {n_ions} ions, {say}", [each["plain"] for each in found])
    if peers and only in (None, "peers"):
        table("kinisi, 100 ions, 500 ps at 600 K", by_kinisi(peers, seeds))
        table("mlsim on the same walks", [ours_at_one(w) for w in short_walks(seeds)])


def of_seed(part: str, seed: int, done: Path | None) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return deviations and claimed errors of one seed, from the file of what is done if it is there."""
    if done is not None and done.exists():
        for line in done.read_text().splitlines():
            kept = json.loads(line)
            if (kept["part"], kept["seed"]) == (part, seed):
                return kept["found"]
    n_ions, n_glasses, differ, back = PARTS[part]
    rng = np.random.default_rng([n_ions, n_glasses, seed])
    factors = np.exp(rng.normal(0, differ, n_glasses) - differ**2 / 2)
    runs = {t: [walk(rng, n_ions, t, f, back_hops=back) for f in factors] for t in KELVINS}
    found = {"ours": ours(runs)} | ({"plain": plain(runs)} if n_glasses == 1 else {})
    if done is not None:
        with done.open("a") as kept_here:
            kept_here.write(json.dumps({"part": part, "seed": seed, "found": found}) + "\n")
    return found


def charge_alone(n: int = 10000) -> None:
    """Print the bias of charge D, of n paths that are drawn as such: a Gaussian walk that rattles."""
    for kelvin in (500.0, 600.0):
        truth = diffusivity_at(kelvin) / HAVEN
        start = (0.5 * HOP_A**2 - 6 * CAGE_A**2) / (6 * diffusivity_at(kelvin))
        window = FitWindow(start, 16 * start, 1.0, 0.5 * HOP_A**2)  # what the tracer gives, extended for the charge
        found = []
        for seed in range(n):
            rng = np.random.default_rng([9, seed])
            path = np.cumsum(rng.normal(0, math.sqrt(2 * truth), (N_FRAMES, 1, 3)), axis=0)
            path += rng.normal(0, math.hypot(CAGE_A, FRAMEWORK_A), path.shape)
            curve = mean_squared_displacement(Trajectory(path, np.eye(3), ("Li",), 1.0), "Li")
            each = slope_estimate([curve], curve, window, "", temperature_K=kelvin, hop_length_A=HOP_A)
            found.append(each.diffusivity.value * 1e4 / truth - 1)
        away = 100 * np.array(found)
        print(f"{kelvin:g} K: bias of charge D {away.mean():.2f} ± {away.std() / math.sqrt(n):.2f} %, {n} paths")


def short_walks(seeds: range) -> list[Trajectory]:
    """Return the walks that kinisi gets too."""
    return [walk(np.random.default_rng([7, seed]), 100, 600.0, n_frames=500) for seed in seeds]


def ours_at_one(trajectory: Trajectory) -> dict[str, list[tuple[float, float]]]:
    """Return tracer and charge D of one run."""
    tracer, charge = diffusivities([trajectory], "Li")
    truth = diffusivity_at(600.0) * 1e-4
    return {
        "tracer D": [deviation(tracer.diffusivity.value, tracer.diffusivity.standard_error, truth)],
        "charge D": [deviation(charge.diffusivity.value, charge.diffusivity.standard_error, truth / HAVEN)],
    }


def by_kinisi(peers: str, seeds: range) -> list[dict[str, list[tuple[float, float]]]]:
    """Return tracer and charge D that kinisi finds."""
    walks = np.stack([relative_to_framework(w) for w in short_walks(seeds)])
    truth = diffusivity_at(600.0) * 1e-4  # kinisi's unit, too, is cm²/s; the peers' script returns Å²/ps
    found = run_peers(peers, "kinisi", walks, 1.0)["found"]
    return [
        {
            "tracer D": [deviation(f["tracer"] * 1e-4, f["tracer_error"] * 1e-4, truth)],
            "charge D": [deviation(f["charge"] * 1e-4, f["charge_error"] * 1e-4, truth / HAVEN)],
        }
        for f in found
    ]


def run_peers(peers: str, what: str, walks: np.ndarray, interval_ps: float) -> dict:
    """Return what benchmarks/transport_peers.py prints."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "walks.npz"
        np.savez(path, positions=walks, interval_ps=interval_ps)
        command = [peers, str(HERE / "transport_peers.py"), what, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def speed(peers: str | None, *, growth: bool) -> None:
    """Time 500 ions × 20 000 frames, each tool in a process of its own, and how time grows with frames."""
    frames = (5000, 10000, 20000, 40000, 80000) if growth else (20000,)
    spent = []
    for n_frames in frames:
        done = subprocess.run(
            [sys.executable, __file__, "one", "--frames", str(n_frames)], capture_output=True, text=True, check=True
        )
        print(done.stdout.strip())
        spent.append(json.loads(done.stdout)["cpu_s"])
    ours_cpu = spent[frames.index(20000)]
    if growth:
        for span in (slice(None), slice(2, None)):
            n = np.array(frames[span], dtype=float)
            found, expected = (np.polyfit(np.log(n), np.log(y), 1)[0] for y in (spent[span], n * np.log(n)))
            print(f"{n[0]:.0f} to {n[-1]:.0f} frames: CPU time ~ frames^{found:.2f}, n log n ~ n^{expected:.2f}")
    if peers:
        walks = relative_to_framework(walk(np.random.default_rng(0), 500, 600.0, n_frames=20000)).astype(np.float32)
        found = run_peers(peers, "kinisi", walks[None], 0.05)
        cpu = found["found"][0]["cpu_s"]
        print(f"kinisi, 50 lags: {cpu:.1f} s CPU, peak {found['peak_MB']:.0f} MB: {cpu / ours_cpu:.0f} times ours")


def one(n_frames: int) -> None:
    """Time our tracer and charge diffusivity of a trajectory on disk, in this process."""
    from mlsim.io.trajectories import TrajectoryRecorder
    from mlsim.melt_quench import Frame

    with tempfile.TemporaryDirectory() as folder:
        recorder = TrajectoryRecorder(folder, ("Li",) * 500, 0.05, 600.0)
        rng, here = np.random.default_rng(0), np.zeros((500, 3))
        for i in range(n_frames):
            here = here + rng.normal(0, 0.07, (500, 3))
            recorder.append(Frame(i, 0.05 * i, here, np.eye(3) * 30.0, 600.0, 0.0, 0.0))
            if i % 1000 == 999:
                recorder.commit()
        path = recorder.finish()
        command = [sys.executable, __file__, "file", "--path", str(path)]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def of_file(path: str) -> None:
    """Print CPU seconds and peak memory of reading and analysing one trajectory."""
    import h5py  # noqa: F401  # not part of the time
    import scipy.fft  # noqa: F401

    from mlsim.io.trajectories import read_trajectory
    from mlsim.transport import tracer_and_charge

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.process_time()
    trajectory = read_trajectory(path)
    tracer, charge = tracer_and_charge(trajectory, "Li")
    spent = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = Path(path).stat().st_size / 1e6
    print(
        json.dumps(
            {
                "frames": trajectory.n_frames,
                "cpu_s": round(spent, 2),
                "peak_MB": round(peak),
                "import_MB": round(before),
                "file_MB": round(size),
                "msd_A2": [float(tracer.msd_A2[-1]), float(charge.msd_A2[-1])],
            }
        )
    )


def agreement(peers: str) -> None:
    """Compare mean squared displacements with MDAnalysis on the same float32 walk."""
    paths = relative_to_framework(walk(np.random.default_rng(3), 50, 600.0, n_frames=1000))
    shifted = (paths.astype(np.float32) + np.float32(500.0)).astype(float)
    theirs = np.array(run_peers(peers, "msd", paths[None], 1.0)["found"][0])[1:500]
    mine = squared(shifted)[:499]
    print(f"largest relative difference to MDAnalysis over lags 1 to 499: {np.abs(mine / theirs - 1).max():.1e}")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["calibration", "charge", "speed", "agreement", "one", "file"])
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=100, help="0 to 19 are those that estimators were tuned on")
    parser.add_argument("--done", type=Path, metavar="FILE", help="calibration keeps finished seeds there, and resumes")
    parser.add_argument("--peers", help="interpreter that has kinisi and MDAnalysis")
    parser.add_argument("--only", choices=[*PARTS, "peers"], help="one part of the calibration")
    parser.add_argument("--growth", action="store_true", help="from 5000 to 80 000 frames, and the exponent")
    parser.add_argument("--frames", type=int, default=20000, help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.what == "one":
        one(given.frames)
    elif given.what == "file":
        of_file(given.path)
    else:
        print(f"Python {platform.python_version()}, numpy {np.__version__}")
        if given.what == "calibration":
            seeds = range(given.first_seed, given.first_seed + given.seeds)
            calibration(seeds, given.peers, given.only, given.done)
        elif given.what == "charge":
            charge_alone()
        elif given.what == "speed":
            speed(given.peers, growth=given.growth)
        elif given.peers is None:
            parser.error("agreement needs --peers")
        else:
            agreement(given.peers)


if __name__ == "__main__":
    main()
