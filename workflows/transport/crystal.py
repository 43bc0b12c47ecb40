"""Write trigonal Li2ZrCl6, relaxed with the potential: `python crystal.py OUT.extxyz [CELLS_PER_VECTOR]`, 2 by default.

Li fills the 6g sites (z = 0) and none of the 6h sites (z = 1/2) of P-3m1: the ordered starting point. Diffraction
finds Li on both; MD redistributes it as far as its time allows.
"""

import sys

from ase.filters import FrechetCellFilter
from ase.optimize import LBFGS

from mlsim import write_structure
from mlsim.potential import load
from mlsim.potential.crystals import crystal_cell

n = int(sys.argv[2]) if len(sys.argv) > 2 else 2
atoms = crystal_cell("Li2ZrCl6").repeat((n, n, n))
atoms.calc = load("lzoc-base")
LBFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.01, steps=500)
write_structure(sys.argv[1], atoms)
print(f"wrote {sys.argv[1]}: {len(atoms)} atoms, cell {atoms.cell.cellpar().round(3)}")
