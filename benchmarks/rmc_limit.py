"""How well can any structure fit S(Q) and G_PDF(r) together? A bound, without a single configuration.

    python benchmarks/rmc_limit.py START.extxyz SQ.dat Gr.dat [--min-distance Si-O=1.4 ...] [--shell Si-O=1.9 ...]
        [--q-min Q] [--farther R ...]

Both curves are linear in the partial g(r) of the pairs of elements, and a structure can do no more than choose these:
none negative, zero below the minimum distances, uniform beyond the end of the pair sums. The best such functions, on a
grid of 0.02 Å, are found by non-negative least squares with the weights that `mlsim rmc` uses (2 % of the root mean
square of each curve). No packing of atoms has to exist that makes them. So no configuration of such a box, however long
it is refined, has an R value of one curve below that of "alone", or a misfit of both below that of "both together".
`--shell` gives the neighbours and the mean distance that these g(r) have within a radius: what the data ask for where
nothing hinders them. `--farther` shows what pairs beyond half the box would do.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.optimize import nnls

from mlsim.io.measurements import read_measurement
from mlsim.io.structures import read_structure
from mlsim.rmc import DataSet, data_set
from mlsim.rmc.constraints import minimum_distances_for
from mlsim.rmc.cost import transform_grid
from mlsim.scattering import weights, window_function
from mlsim.scattering.transforms import uniform_sphere

Floats = NDArray[np.float64]
Pair = tuple[str, str]
Lengths = dict[Pair, float]
BIN_A = 0.02
RANK = 300
EDGES_A = (0.0, 1.0, 1.4, 4.0, 10.0, 14.5)


def columns(q: Floats, atoms: Atoms, closest: Lengths, r_end: float) -> tuple[Floats, Floats]:
    """Return what every bin of every g(r) adds to S(Q) − 1, shape (Q, bin), and S(Q) − 1 of no neighbours at all."""
    symbols = atoms.get_chemical_symbols()
    fractions = {e: symbols.count(e) / len(symbols) for e in sorted(set(symbols))}
    density = len(symbols) / atoms.get_volume()
    parts = []
    for pair, weight in weights(fractions, q, "xray").items():
        shells = np.array([uniform_sphere(q, float(r)) for r in bin_edges(closest[pair], r_end)])
        parts.append(density * weight[:, None] * np.diff(shells, axis=0).T)
    return np.concatenate(parts, axis=1), -density * uniform_sphere(q, r_end)


def problem(data: DataSet, atoms: Atoms, closest: Lengths, r_end: float) -> tuple[Floats, Floats]:
    """Return matrix and target of one data set, divided by its sigma."""
    of_q = data.curve.quantity.of_q
    q = data.curve.x if of_q else transform_grid(data.q_min, data.q_max)
    matrix, alone = columns(q, atoms, closest, r_end)
    target = data.curve.y - 1 if of_q else data.curve.y
    if not of_q:
        step = np.full(len(q), q[1] - q[0])
        step[[0, -1]] /= 2
        sines = 2 / np.pi * np.sin(np.multiply.outer(data.curve.x, q)) * (q * step * window_function(q, q[-1], "step"))
        matrix, alone = sines @ matrix, sines @ alone
    return matrix / data.sigma[:, None], (target - alone) / data.sigma


def best(problems: list[tuple[Floats, Floats]]) -> Floats:
    """Return the non-negative g(r) of least misfit, shape (bin,)."""
    matrix = np.concatenate([m for m, _ in problems])
    target = np.concatenate([t for _, t in problems])
    trial = matrix @ np.random.default_rng(0).normal(size=(matrix.shape[1], RANK))
    rows, _ = np.linalg.qr(matrix @ (matrix.T @ trial))  # the curves that bins can make at all: about R Qmax/π
    return np.asarray(nnls(rows.T @ matrix, rows.T @ target, maxiter=30_000)[0])


def r_value(data: DataSet, of: tuple[Floats, Floats], g: Floats) -> float:
    """Return the R value of Q [S − 1] or of G_PDF."""
    by = data.sigma * (data.curve.x if data.curve.quantity.of_q else 1.0)
    size = data.curve.x * (data.curve.y - 1) if data.curve.quantity.of_q else data.curve.y
    miss = by * (of[0] @ g - of[1])
    return float(np.sqrt((miss @ miss) / (size @ size)))


def shares(data: DataSet, of: tuple[Floats, Floats], g: Floats) -> str:
    """Where in r the squared residual of Q [S − 1] lies."""
    q = data.curve.x
    residual = q * data.sigma * (of[0] @ g - of[1])
    r = np.arange(0.005, EDGES_A[-1], 0.01)
    power = (2 / np.pi * np.sin(np.multiply.outer(r, q)) @ (residual * np.gradient(q))) ** 2
    total = 2 / np.pi * float((residual**2 * np.gradient(q)).sum()) / 0.01
    parts = [f"{a:g}-{b:g} Å {power[(r >= a) & (r < b)].sum() / total:.0%}" for a, b in pairwise(EDGES_A)]
    return ", ".join([*parts, f"beyond {1 - power.sum() / total:.0%}"])


def bin_edges(closest: float, r_end: float) -> Floats:
    """Return the edges of the bins of one g(r), Å."""
    low = max(closest - 0.5 * BIN_A, 0.0)
    return np.linspace(low, r_end, max(2, round((r_end - low) / BIN_A)))


def shell(atoms: Atoms, closest: Lengths, r_end: float, g: Floats, wanted: Pair, radius: float) -> str:
    """Neighbours of the first element of a pair within a radius and their mean distance, of the g(r) found."""
    at = 0
    for pair in sorted(closest):
        edges = bin_edges(closest[pair], r_end)
        found, at = g[at : at + len(edges) - 1], at + len(edges) - 1
        if pair == (min(wanted), max(wanted)):
            break
    density = atoms.get_chemical_symbols().count(wanted[1]) / atoms.get_volume()
    numbers = found * density * 4 / 3 * np.pi * np.diff(edges**3)
    near = edges[1:] <= radius
    centres = (edges[1:] + edges[:-1]) / 2
    distance = float((numbers * centres)[near].sum() / numbers[near].sum())
    return f"{'-'.join(wanted)} {numbers[near].sum():.2f} at {distance:.3f} Å"


def lengths(texts: list[str]) -> Lengths:
    """Return pairs and lengths of texts such as Si-O=1.4."""
    found = {}
    for text in texts:
        pair, _, length = text.partition("=")
        first, _, second = pair.partition("-")
        found[first, second] = float(length)
    return found


def main() -> None:
    """Print the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path)
    parser.add_argument("s_of_q", type=Path)
    parser.add_argument("g_pdf", type=Path)
    parser.add_argument("--min-distance", nargs="*", default=[])
    parser.add_argument("--shell", nargs="*", default=[])
    parser.add_argument("--q-min", type=float, default=None)
    parser.add_argument("--r-range", type=float, nargs=2, default=(1.0, 10.0))
    parser.add_argument("--farther", type=float, nargs="*", default=[])
    options = parser.parse_args()
    atoms = read_structure(options.start)
    closest, _ = minimum_distances_for(atoms, lengths(options.min_distance))
    s = read_measurement(options.s_of_q, "s_of_q", "xray", "").curve
    g = read_measurement(options.g_pdf, "g_pdf", "xray", "").curve
    span = None if options.q_min is None else (options.q_min, float(s.x[-1]))
    sets = [
        data_set("S(Q)", s, "xray", atoms, x_range=span),
        data_set("G(r)", g, "xray", atoms, x_range=tuple(options.r_range), q_range=(float(s.x[0]), float(s.x[-1]))),
    ]
    half = float(atoms.cell.lengths().min() / 2)
    for r_end in (half, *options.farther):
        problems = [problem(d, atoms, closest, r_end) for d in sets]
        print(f"pairs to {r_end:.2f} Å, S(Q) from {sets[0].curve.x[0]:.3g} 1/Å: R values of the best g(r)")
        for name, chosen in (("both together", [0, 1]), ("S(Q) alone", [0]), ("G(r) alone", [1])):
            found = best([problems[k] for k in chosen])
            values = ", ".join(f"{sets[k].name} {r_value(sets[k], problems[k], found):.3f}" for k in chosen)
            print(f"  {name}: {values}")
            for pair, radius in lengths(options.shell).items():
                print(f"    {shell(atoms, closest, r_end, found, pair, radius)}")
            if 0 in chosen:
                print(f"    residual of S(Q): {shares(sets[0], problems[0], found)}")


if __name__ == "__main__":
    main()
