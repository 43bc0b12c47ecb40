"""`mlsim` with the toy of the tests as its potential: python toy_study.py SECONDS_PER_STEP ARGUMENTS..."""

from __future__ import annotations

import sys
from pathlib import Path

from toy_ions import ToySource

from mlsim.cli import main
from mlsim.study import ModelFile

TOY_STUDY = """
name: toy
composition: Li3ZrCl4O1.5
glasses: {number: 2, atoms: 38, packing_density_g_cm3: 1.9}
melt_quench:
  relax_steps: 20
  segments:
    - {name: melt, kind: hold, temperature_K: 1200, duration_ps: 0.3}
    - {name: quench, kind: ramp, from_K: 1200, to_K: 300, rate_K_per_ps: 3000}
    - {name: density, kind: hold, ensemble: npt, temperature_K: 300, duration_ps: 0.2, pressure_GPa: 1}
transport: {temperatures_K: [900, 1400], equilibration_ps: 0.1, time_ps: 1.2}
"""


def write_toy_study(folder: Path, extra: str = "") -> Path:
    """Write the study of the tests and return its path."""
    path = folder / "toy.yaml"
    path.write_text(TOY_STUDY + extra, encoding="utf-8")
    return path


if __name__ == "__main__":
    toy = ToySource(seconds_per_step=float(sys.argv[1]))
    ModelFile.named = classmethod(lambda cls, name, device="auto": toy)  # type: ignore[method-assign, assignment]
    main(sys.argv[2:])
