"""Does the glass depend on the density that it was packed at? Density and g(r) of two finished studies side by side.

    mlsim run low.yaml --out low && mlsim run high.yaml --out high
    python benchmarks/packing_independence.py low high

The two studies differ in `glasses: {packing_density_g_cm3: ...}` (and so in every random packing that they start from).
Densities: mean ± standard error over glasses, and Student's t of the difference. g(r): for each pair of elements chi²
per point of the difference, errors from the scatter over glasses of both studies together; near 1 means the same.
Points of one curve are correlated, so the last column tells where chi² lies among random splits of the same glasses
into two groups.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from mlsim.io.structures import read_structure
from mlsim.io.trajectories import read_trajectory
from mlsim.melt_quench import rocksalt_domains
from mlsim.scattering import partial_g_of_r
from mlsim.units import G_CM3_PER_U_A3

R_MAX_A, R_STEP_A = 6.5, 0.1
MOST_SPLITS = 462


def glasses_of(folder: Path) -> list[tuple[float, dict[tuple[str, str], np.ndarray], float]]:
    """Return density, partial g(r) and rocksalt fraction of each glass, over the second half of the density hold."""
    found = []
    for glass in sorted(folder.glob("glass-*")):
        trajectory = read_trajectory(glass / "quench" / "trajectory.h5")
        frames = list(trajectory.frames(first=trajectory.n_frames // 2))
        atoms = read_structure(glass / "glass.extxyz")
        density = float(atoms.get_masses().sum() / atoms.get_volume() * G_CM3_PER_U_A3)
        partials = partial_g_of_r(frames, r_max_A=R_MAX_A, r_step_A=R_STEP_A)
        rocksalt = float(np.mean([rocksalt_domains(frame).fraction for frame in frames[::10]]))
        found.append((density, {pair: curve.y for pair, curve in partials.items()}, rocksalt))
    return found


def chi_squared(first: np.ndarray, second: np.ndarray) -> float:
    """Return chi² per point of the difference between the means of two groups of curves, shape (glass, point)."""
    n, m = len(first), len(second)
    scatter = (first.var(axis=0, ddof=1) * (n - 1) + second.var(axis=0, ddof=1) * (m - 1)) / (n + m - 2)
    error2 = scatter * (1 / n + 1 / m)
    seen = error2 > 1e-12
    return float(((first.mean(axis=0) - second.mean(axis=0))[seen] ** 2 / error2[seen]).mean())


def place_among_splits(curves: np.ndarray, n_first: int, found: float) -> float:
    """Return the share of random splits whose chi² is at least as large as the one found."""
    rows = range(len(curves))
    splits = list(itertools.islice(itertools.combinations(rows, n_first), MOST_SPLITS * 2))
    values = [chi_squared(curves[list(s)], curves[[r for r in rows if r not in s]]) for s in splits]
    return float(np.mean(np.array(values) >= found - 1e-12))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs=2, type=Path)
    settings = parser.parse_args()
    low, high = (glasses_of(folder) for folder in settings.studies)
    print("| study | glasses | density, g/cm3 | standard deviation | rocksalt LiCl, % |\n|---|---|---|---|---|")
    densities = [np.array([density for density, _, _ in group]) for group in (low, high)]
    for folder, group, values in zip(settings.studies, (low, high), densities, strict=True):
        error = values.std(ddof=1) / np.sqrt(len(values))
        rocksalt = 100 * np.mean([share for _, _, share in group])
        print(
            f"| {folder.name} | {len(values)} | {values.mean():.3f} ± {error:.3f} | {values.std(ddof=1):.3f} "
            f"| {rocksalt:.1f} |"
        )
    a, b = densities
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    print(f"\ndifference {b.mean() - a.mean():+.3f} ± {error:.3f} g/cm3, t = {(b.mean() - a.mean()) / error:.2f}\n")
    print("| g(r) of | chi² per point | share of random splits at least as far apart |\n|---|---|---|")
    for pair in low[0][1]:
        first, second = (np.stack([partials[pair] for _, partials, _ in group]) for group in (low, high))
        found = chi_squared(first, second)
        place = place_among_splits(np.concatenate([first, second]), len(first), found)
        print(f"| {'-'.join(pair)} | {found:.2f} | {place:.2f} |")


if __name__ == "__main__":
    main()
