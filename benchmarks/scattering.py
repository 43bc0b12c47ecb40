"""Total scattering: agreement with another package, speed beside it, and growth with the number of atoms.

    python benchmarks/scattering.py [--atoms 2000 20000 60000] [--no-peer]

Peer: vitrum from PyPI (pip install mlsim[bench]), in the same process. One frame, one thread: all partial g(r), the
X-ray S(Q) on 500 Q up to 20 1/Å, and G_PDF(r) on 750 r up to 15 Å with the weights' Q dependence treated exactly.
Times are the smallest of several, of CPU time.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import importlib.metadata
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from mlsim.curve import Curve, Quantity
from mlsim.scattering import g_pdf_of, partial_g_of_r, partial_structure_factors, total_scattering, weights
from mlsim.scattering.transforms import uniform_sphere

if TYPE_CHECKING:
    from vitrum.scattering import Scattering

Q = np.linspace(0.04, 20.0, 500)
R = np.linspace(0.02, 15.0, 750)
LONGEST_A = 20.0
FRACTIONS = {"Li": 3 / 9.5, "Zr": 1 / 9.5, "Cl": 4 / 9.5, "O": 1.5 / 9.5}


def disordered(n_atoms: int) -> Atoms:
    """Return ions of Li3ZrCl4O1.5 at random on a cubic lattice with vacancies, displaced by 0.35 Å, 0.0412 atoms/Å3."""
    rng = np.random.default_rng(n_atoms)
    side = int(np.ceil((1.05 * n_atoms) ** (1 / 3)))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)
    sites = sites[rng.permutation(len(sites))[:n_atoms]]
    length = (n_atoms / 0.0412) ** (1 / 3)
    positions = sites * length / side + rng.normal(scale=0.35, size=(n_atoms, 3))
    symbols = rng.permutation(np.repeat(list(FRACTIONS), _counts(n_atoms)))
    return Atoms(symbols, positions=positions, cell=[length] * 3, pbc=True)


def _counts(n_atoms: int) -> list[int]:
    counts = [round(n_atoms * c) for c in FRACTIONS.values()]
    counts[2] += n_atoms - sum(counts)
    return counts


def range_of(atoms: Atoms) -> float:
    """Where pair sums end: half the box, at most 20 Å."""
    return min(0.4999 * float(atoms.cell.lengths().min()), LONGEST_A)


def ours(atoms: Atoms) -> None:
    """Partials, S(Q) and G_PDF(r) with mlsim."""
    total_scattering([atoms], q=Q, r_max_A=range_of(atoms))
    partial_g_of_r([atoms], r_max_A=range_of(atoms))
    total_scattering([atoms], quantity="g_pdf", q=Q, r=R)


def peer(atoms: Atoms) -> None:
    """The same with vitrum, which has one number of points for r and Q."""
    from vitrum.scattering import Scattering

    both = Scattering(atoms, qmin=Q[0], qmax=Q[-1], rrange=range_of(atoms), nbin=len(R), disable_progress=True)
    both.get_structure_factor("xray")
    both.get_reduced_pdf("xray")


def seconds(job: Callable[[Atoms], None], atoms: Atoms, repeats: int = 3) -> float:
    """Return the smallest CPU time of a job that ran once before, each time with atoms that it has not seen."""
    job(atoms)
    times = []
    for _ in range(repeats):
        atoms = atoms.copy()
        atoms.positions += 0.01
        start = time.process_time()
        job(atoms)
        times.append(time.process_time() - start)
    return min(times)


def agreement(n_atoms: int) -> None:
    """Print how far S(Q) and G_PDF(r) are from those of vitrum, and what is left when its conventions are shared."""
    from vitrum.scattering import Scattering

    atoms = disordered(n_atoms)
    end = range_of(atoms)
    q = np.linspace(0.0, 20.0, 2001)
    partials = partial_structure_factors([atoms], q, r_max_A=end)
    print(f"\nDeviation from vitrum, {n_atoms} atoms, pairs below {end:.2f} Å: largest (root mean square)\n")
    print("| bins of vitrum | S(Q) as it comes | S(Q) alike | G_PDF(r) as it comes | G_PDF(r) alike | g_ij(r) alike |")
    print("|---|---|---|---|---|---|")
    for bins in (500, 2000, 8000, 32_000):
        other = Scattering(atoms, qmin=0.5, qmax=20.0, rrange=end, nbin=bins, disable_progress=True)
        inside = np.flatnonzero((other.xval > 1.0) & (other.xval < end - 3.0))
        inside = inside[:: max(1, len(inside) // 400)]
        r = other.xval[inside]
        alike = _in_conventions_of(other, atoms, q, partials, end)
        at_its_q = partial_structure_factors([atoms], other.qval, r_max_A=end)
        s = 1 + _in_conventions_of(other, atoms, other.qval, at_its_q, end) - _by_midpoints(other, atoms)
        plain = 1 + _weighted(atoms, other.qval, at_its_q) - other.get_structure_factor("xray")
        theirs = other.get_reduced_pdf("xray")[inside]
        g = g_pdf_of(Curve(Quantity.I_OF_Q, q, alike), r).y - theirs
        as_it_comes = g_pdf_of(Curve(Quantity.I_OF_Q, q, _weighted(atoms, q, partials)), r).y - theirs
        print(
            f"| {bins} | {_pair(plain)} | {_pair(s)} | {_pair(as_it_comes)} | {_pair(g)} | {_of_g(other, atoms):.0e} |"
        )


def _weighted(atoms: Atoms, q: np.ndarray, partials: dict[tuple[str, str], Curve]) -> np.ndarray:
    pair_weights = weights(_fractions(atoms), q)
    return np.asarray(sum(pair_weights[pair] * (curve.y - 1) for pair, curve in partials.items()))


def _fractions(atoms: Atoms) -> dict[str, float]:
    return {e: atoms.get_chemical_symbols().count(e) / len(atoms) for e in FRACTIONS}


def _in_conventions_of(
    other: Scattering, atoms: Atoms, q: np.ndarray, partials: dict[tuple[str, str], Curve], end: float
) -> np.ndarray:
    """S − 1 from our pair sums with its form factors (four Gaussians) and its like pairs over N(N − 1), not N²."""
    share = _fractions(atoms)
    squares = np.multiply.outer(other.x_ray_b, (q / (4 * np.pi)) ** 2)
    factors = (other.x_ray_a[:, :, None] * np.exp(-squares)).sum(axis=1) + other.x_ray_c
    f = dict(zip([str(e) for e in other.species], factors, strict=True))
    mean = sum(share[e] * f[e] for e in f)
    uniform = len(atoms) / atoms.get_volume() * uniform_sphere(q, end)
    total = np.zeros_like(q)
    for (a, b), curve in partials.items():
        like = 1 - 1 / (share[a] * len(atoms)) if a == b else 1.0
        weight = (1 if a == b else 2) * share[a] * share[b] * f[a] * f[b] / mean**2
        total += weight * ((curve.y - 1 + uniform) / like - uniform)
    return total


def _by_midpoints(other: Scattering, atoms: Atoms) -> np.ndarray:
    """S(Q) of vitrum with the half bins at both ends that its trapezoidal rule leaves out."""
    share, f = _fractions(atoms), dict(zip([str(e) for e in other.species], other.f_i, strict=True))
    mean = sum(share[e] * f[e] for e in f)
    total = other.get_structure_factor("xray").copy()
    half = (other.xval[1] - other.xval[0]) / 2
    for a, b in other.pairs:
        weight = share[a] * share[b] * f[a] * f[b] / mean**2
        g = other.get_partial_pdf((a, b))
        for k in (0, -1):
            r = other.xval[k]
            total += weight * half * other.aveden * 4 * np.pi * r**2 * (g[k] - 1) * np.sinc(other.qval * r / np.pi)
    return np.asarray(total)


def _of_g(other: Scattering, atoms: Atoms) -> float:
    """Largest deviation of the partial g(r) on its bins, like pairs over N(N − 1)."""
    width = other.rrange / other.nbin
    mine = partial_g_of_r([atoms], r_max_A=other.rrange, r_step_A=width)
    count = {e: c * len(atoms) for e, c in _fractions(atoms).items()}
    deviations = []
    for (a, b), curve in mine.items():
        like = 1 - 1 / count[a] if a == b else 1.0
        deviations.append(np.abs(other.get_partial_pdf((a, b)) * like - curve.y).max())
    return float(max(deviations))


def _pair(deviation: np.ndarray) -> str:
    return f"{np.abs(deviation).max():.1e} ({np.sqrt(np.mean(deviation**2)):.1e})"


def first_call(n_atoms: int) -> tuple[float, float]:
    """Return wall times of a first call in a new process without and with numba's cache (imports excluded)."""
    code = (
        "import sys, time; sys.path[:0] = sys.argv[1:]; import scattering as b; a = b.disordered("
        f"{n_atoms}); t = time.process_time(); b.ours(a); print(time.process_time() - t)"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        command = [sys.executable, "-c", code, str(Path(__file__).resolve().parent)]
        runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    first, second = (float(run.stdout.split()[-1]) for run in runs)
    return first, second


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[2000, 20000, 60000])
    parser.add_argument("--no-peer", action="store_true", help="without vitrum")
    options = parser.parse_args()
    names = ["numba", "numpy"] + ([] if options.no_peer else ["vitrum"])
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names), platform.processor())
    print("\n| atoms | mlsim, s | vitrum, s | ratio | largest memory so far, MB |")
    print("|---|---|---|---|---|")
    for n_atoms in options.atoms:
        atoms = disordered(n_atoms)
        own = seconds(ours, atoms)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        other = None if options.no_peer else seconds(peer, atoms, repeats=2)
        beside = "| - | - " if other is None else f"| {other:.3f} | {other / own:.2f} "
        print(f"| {n_atoms} | {own:.3f} {beside}| {memory:.0f} |")
    first, second = first_call(options.atoms[0])
    print(f"\nfirst call of a new process, {options.atoms[0]} atoms: {first:.2f} s of CPU time, then {second:.2f} s")
    if not options.no_peer:
        agreement(2000)


if __name__ == "__main__":
    main()
