"""The shipped potential through the whole of `mlsim run`, with few atoms and few steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mlsim.potential import describe
from mlsim.shipped import DEFAULT_POTENTIAL

STUDY = """
name: tiny
composition: Li3ZrCl4O1.5
glasses: {number: 1, atoms: 38}
melt_quench:
  relax_steps: 50
  segments:
    - {name: melt, kind: hold, temperature_K: 1200, duration_ps: 0.2}
    - {name: quench, kind: ramp, from_K: 1200, to_K: 300, rate_K_per_ps: 9000}
    - {name: density, kind: hold, ensemble: npt, temperature_K: 300, duration_ps: 0.1}
transport: {temperatures_K: [900], equilibration_ps: 0.1, time_ps: 0.3}
"""


def test_a_tiny_study_runs_with_the_shipped_potential_outside_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(STUDY, encoding="utf-8")
    command = [sys.executable, "-c", "from mlsim.cli import main; main()", "run", "tiny.yaml", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert result["provenance"]["potential_sha256"] == describe(DEFAULT_POTENTIAL).sha256
    rows = {row["name"]: row for row in result["quantities"]}
    assert 1.0 < rows["density_g_cm3"]["value"] < 3.0
    assert rows["density_g_cm3"]["standard_error"] is None
    assert 1.8 < rows["zr_o_distance_A"]["value"] < 2.5
    assert 2.2 < rows["zr_cl_distance_A"]["value"] < 3.0
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
