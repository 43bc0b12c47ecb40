"""What a committee adds to the cost of MD: calls of the committee against calls of its leader, in turn, CPU time.

    python benchmarks/committee_cost.py [MEMBERS] [MODEL]

The members are copies of one model; cost does not depend on their weights.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np
from ase.optimize import FIRE

from mlsim import Composition
from mlsim.melt_quench import pack
from mlsim.potential import Committee, describe
from mlsim.potential.engine import CompiledMACE, read_merged

CALLS, ROUNDS = 240, 5


def main() -> None:
    """Print the ratio."""
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    model = sys.argv[2] if len(sys.argv) > 2 else "lzoc-base"
    compiled = describe(model).compiled
    if compiled is None:
        raise SystemExit(f"{model}: has no compiled form")
    merged = read_merged(compiled)
    leader = CompiledMACE(merged)
    # copies of one file are no committee to `load_committee`
    committee = Committee(CompiledMACE(merged), [CompiledMACE([merged] * (members - 1))])
    atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 114, density_g_cm3=2.1, seed=1)
    atoms.calc = leader
    FIRE(atoms, logfile=None).run(fmax=0.3, steps=100)
    atoms.calc = None
    rng = np.random.default_rng(0)
    path = [atoms.positions + rng.normal(0, 0.01, atoms.positions.shape) for _ in range(CALLS)]

    def seconds(calculator: Any) -> float:
        began = time.process_time()
        for positions in path:
            atoms.positions = positions
            calculator.calculate(atoms, ["energy", "forces", "stress"], ["positions"])
        return time.process_time() - began

    seconds(leader), seconds(committee)  # compilation
    ratios = [seconds(committee) / seconds(leader) for _ in range(ROUNDS)]
    print(committee)
    print(f"committee / leader: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
