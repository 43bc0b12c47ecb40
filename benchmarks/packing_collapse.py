r"""How often a melt breaks down at its start, because a potential lets atoms of a random packing fall into each other.

    python benchmarks/packing_collapse.py lzoc-1 lzoc-base
    python benchmarks/packing_collapse.py lzoc-1 --formula Li2ZrCl6 --atoms 225 --seeds 3419682252 1437638767 582455545

The seeds of the second are those of glass-3, 4 and 5 of Li2ZrCl6 in the shipped series.

Packings at 1.9 g/cm³ start as every quench does, with 50 steps of FIRE, and are held at 1500 K for 0.4 ps; the guards
of the run say when atoms are in a hole of the potential. Beside the packings as `pack` makes them stand narrow ones,
whose neighbours are 0.87 as far from each other: at the minimum distances, as `pack` left them before it aimed wider.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

from mlsim import pack
from mlsim.composition import Composition
from mlsim.errors import NotConverged
from mlsim.melt_quench import Schedule, Segment, default_minimum_distances, run_schedule
from mlsim.potential import load

_COMPOSITIONS = ("Li2ZrCl6", "Li2ZrCl4O", "Li3ZrCl4O1.5", "Li4ZrCl4O2")
_SCALES = {"narrow": 0.87, "as packed": 1.0}
_DENSITY_G_CM3 = 1.9
_MELT = Segment(name="melt", kind="hold", ensemble="nvt", temperature_K=1500, duration_ps=0.4, record=False)
_START = Schedule(name="start of a melt", timestep_fs=2.0, relax_steps=50, segments=(_MELT,))


def breakdown(composition: Composition, n_atoms: int, scale: float, seed: int, calculator: Any) -> str | None:
    """Return why the melt of a packing stops at its start, None if it does not."""
    limits = {pair: scale * distance for pair, distance in default_minimum_distances(composition).items()}
    atoms = pack(composition, n_atoms, density_g_cm3=_DENSITY_G_CM3, seed=seed, min_distances_A=limits)
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_schedule(atoms, _START, calculator, directory=Path(folder), seed=seed, potential_sha256="0" * 64)
        except NotConverged as error:
            return str(error).removeprefix(folder)
    return None


def main() -> None:
    """Print how many packings break down, by potential, composition and width of the packing, and why."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("potentials", nargs="+")
    parser.add_argument("--atoms", type=int, default=228)
    parser.add_argument("--formula", nargs="+", default=_COMPOSITIONS)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(1, 41))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the engine warns of atoms below 0.3 Å: that is what is counted
    for name in arguments.potentials:
        calculator = load(name)
        for formula in arguments.formula:
            composition = Composition.parse(formula)
            n_atoms = composition.nearest_atom_number(arguments.atoms)
            for words, scale in _SCALES.items():
                found = {s: breakdown(composition, n_atoms, scale, s, calculator) for s in arguments.seeds}
                fallen = {seed: why for seed, why in found.items() if why is not None}
                print(f"{name:<12} {formula:<14} {words:<10} {len(fallen):>2} of {len(found)}", flush=True)
                for seed, why in fallen.items():
                    print(f"    {seed}: {why[:120]}", flush=True)


if __name__ == "__main__":
    main()
