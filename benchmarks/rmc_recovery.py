"""Which numbers of a known glass does reverse Monte Carlo get back from its scattering, and which not?

    python benchmarks/rmc_recovery.py TRUTH.extxyz OTHER.extxyz -o DIR [--runs 4] [--moves-per-atom 500]
        [--start random]

X-ray S(Q) (0.5 to 20 1/Å) of TRUTH with Gaussian noise of 0.01, and its G_PDF(r) (1 to 12 Å, from the noisy S(Q)), are
SYNTHETIC data: they come from a model. They are fitted from OTHER, scaled to the density of TRUTH, and from a random
packing. A number is recovered when the mean over the runs is within two standard errors of TRUTH, those of the mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms

from mlsim.composition import Composition
from mlsim.curve import Curve, Quantity
from mlsim.io.structures import read_structure
from mlsim.melt_quench import pack
from mlsim.rmc import DataSet, Ensemble, RefineSettings, data_set, influences, refine_ensemble
from mlsim.scattering import g_pdf_of, total_scattering
from mlsim.topology import bond_cutoffs, estimates_over_glasses, roles_of, topology_of
from mlsim.workers import available_cpus

NOISE = 0.01


def synthetic(truth: Atoms, start: Atoms) -> list[DataSet]:
    """Return the noisy curves of the truth."""
    q = np.arange(0.5, 20.0001, 0.02)
    s = total_scattering([truth], quantity="s_of_q", q=q)
    noisy = Curve(Quantity.S_OF_Q, q, s.y + NOISE * np.random.default_rng(0).normal(size=len(q)))
    r = np.arange(1.0, 12.0001, 0.02)
    g = g_pdf_of(noisy, r)
    error = float(2 / np.pi * np.sqrt((q**2 / 2).sum()) * 0.02 * NOISE)  # of G from independent errors of S
    return [
        data_set("synthetic_sq", noisy, "xray", start, sigma=NOISE),
        data_set("synthetic_gr", g, "xray", start, sigma=error, q_range=(0.5, 20.0)),
    ]


def numbers(atoms: Atoms, cutoffs: dict[tuple[str, str], float]) -> dict[str, float]:
    """Return the topology of a configuration."""
    glass = topology_of([atoms], cutoffs_A=cutoffs, **roles_of(atoms))
    return {name: e.value for name, e in estimates_over_glasses([glass]).items()}


def table(title: str, truth: Atoms, ensemble: Ensemble) -> None:
    """Print truth, start, fit and verdict of every number."""
    cutoffs = bond_cutoffs([truth])
    of = [[numbers(run.atoms, cutoffs) for run in runs] for runs in (ensemble.fitted, ensemble.free, ensemble.refitted)]
    known, start = numbers(truth, cutoffs), numbers(ensemble.start, cutoffs)
    units = {name: "Å" if name.endswith("_A") else "1" for name in known}
    rw = {n: np.mean([r.rw[n] for r in ensemble.fitted]) for n in ensemble.fitted[0].rw}
    first = ensemble.fitted[0].rw_start
    print(f"\n### {title}: " + ", ".join(f"Rw {n} {first[n]:.3f} to {v:.3f}" for n, v in rw.items()))
    falls = ", ".join(f"{100 * r.convergence.fall:.1f} %" for r in ensemble.fitted)
    settled = sum(r.convergence.converged for r in ensemble.fitted)
    print(f"converged: {settled} of {len(ensemble.fitted)}; chi squared fell in the last quarter by {falls}\n")
    print("| number | truth | start | fitted | without data | recovered | verdict |\n|---|---|---|---|---|---|---|")
    if not ensemble.free:  # nothing to judge by: the fitted runs alone
        of[1] = of[2] = of[0]
    for i in influences(start, *of, units):
        apart = i.fitted.difference_in_standard_errors(known[i.name], 0.0)
        close = "yes" if apart is not None and abs(apart) <= 2 else "no" if apart is not None else "?"
        said = f"{i.fitted.value:.3f} ± {i.fitted.standard_error or 0:.3f}"
        without = f"{i.free.value:.3f} ± {i.free.standard_error or 0:.3f}" if ensemble.free else "-"
        old = "-" if i.start is None else f"{i.start:.3f}"
        verdict = i.verdict if ensemble.free else "-"
        print(f"| {i.name} | {known[i.name]:.3f} | {old} | {said} | {without} | {close} | {verdict} |")


def main() -> None:
    """Fit from both starts and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--free-runs", type=int, default=None, help="runs without data and from their ends; RUNS")
    parser.add_argument("--moves-per-atom", type=float, default=500.0)
    parser.add_argument("--start", nargs="+", choices=["glass", "random"], default=["glass", "random"])
    parser.add_argument("--jobs", type=int, default=available_cpus())
    options = parser.parse_args()
    truth, other = read_structure(options.truth), read_structure(options.other)
    other.set_cell(truth.cell, scale_atoms=True)
    composition = Composition.of_atoms(truth.get_chemical_symbols())
    density = composition.density_g_cm3(number_density=len(truth) / truth.get_volume())
    packed = pack(composition, len(truth), density_g_cm3=density, seed=1)
    starts = {"glass": ("another glass", other), "random": ("a random packing", packed)}
    for name, start in (starts[chosen] for chosen in options.start):
        ensemble = refine_ensemble(
            start,
            synthetic(truth, start),
            RefineSettings(moves_per_atom=options.moves_per_atom),
            runs=options.runs,
            free_runs=options.runs if options.free_runs is None else options.free_runs,
            seed=1,
            directory=options.output / name.replace(" ", "-"),
            jobs=options.jobs,
        )
        table(f"from {name}", truth, ensemble)


if __name__ == "__main__":
    main()
