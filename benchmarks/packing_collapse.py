r"""How often a potential lets atoms fall into each other when random packings relax: a hole below the repulsion.

    python benchmarks/packing_collapse.py lzoc-1 lzoc-base
    python benchmarks/packing_collapse.py lzoc-1 lzoc-base --formula Li2ZrCl6 --atoms 225 \
        --seeds 3419682252 1437638767 582455545

The seeds of the second are those of glass-3, 4 and 5 of the shipped series.

Ten packings at 1.9 g/cm³ of each composition, FIRE to 0.05 eV/Å or 300 steps. Pairs nearer than 1.4 Å are in a
hole: no pair of Li, Zr, O and Cl is that near in any crystal.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from ase import Atoms
from ase.optimize import FIRE

from mlsim import pack
from mlsim.composition import Composition
from mlsim.potential import load

_COMPOSITIONS = ("Li2ZrCl6", "Li2ZrCl4O", "Li3ZrCl4O1.5", "Li4ZrCl4O2")
_IN_A_HOLE_A = 1.4
_PACKINGS = 10


def nearest_pair(atoms: Atoms) -> tuple[str, float]:
    """Return the two elements that are nearest to each other, and their distance, Å."""
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    first, second = np.unravel_index(distances.argmin(), distances.shape)
    symbols = atoms.get_chemical_symbols()
    return f"{symbols[first]}-{symbols[second]}", float(distances[first, second])


def main() -> None:
    """Print how many packings collapse, by potential and composition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("potentials", nargs="+")
    parser.add_argument("--atoms", type=int, default=228)
    parser.add_argument("--formula", nargs="+", default=_COMPOSITIONS)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(1, _PACKINGS + 1))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the engine warns of atoms below 0.3 Å: that is what is counted
    for name in arguments.potentials:
        calculator = load(name)
        for formula in arguments.formula:
            composition = Composition.parse(formula)
            n_atoms, fallen = composition.nearest_atom_number(arguments.atoms), []
            for seed in arguments.seeds:
                atoms = pack(composition, n_atoms=n_atoms, density_g_cm3=1.9, seed=seed)
                atoms.calc = calculator
                FIRE(atoms, logfile=None).run(fmax=0.05, steps=300)
                pair, distance = nearest_pair(atoms)
                if distance < _IN_A_HOLE_A:
                    fallen.append(f"seed {seed}: {pair} {distance:.2f} Å")
            print(
                f"{name:<12} {formula:<14} {len(fallen):>2} of {len(arguments.seeds)}  {'; '.join(fallen)}", flush=True
            )


if __name__ == "__main__":
    main()
