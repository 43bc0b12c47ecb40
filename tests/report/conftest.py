"""A small made-up run: numbers that no simulation gave, for the layout of the report only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsim.curve import Estimate
from mlsim.io.published import published_sample
from mlsim.io.results import Provenance, QuantityRow, write_result
from mlsim.io.series import (
    ArrheniusPart,
    ArrheniusPoint,
    CoordinationHistogram,
    Line,
    MsdPart,
    PotentialPart,
    ReportSeries,
    Share,
    SnapshotPart,
    ThermoPart,
    write_series,
)
from mlsim.study import read_study

FORMULA = "Li3ZrCl4O1.5"
Writer = Callable[..., Path]


def made_up_rows(n: int = 4) -> list[QuantityRow]:
    """Return one row for every contract name that a study gives."""
    values = {
        "density_g_cm3": (2.0, 0.02, "g/cm3"),
        "zr_o_distance_A": (2.03, 0.01, "Å"),
        "zr_cl_distance_A": (2.47, 0.01, "Å"),
        "zr_o_coordination": (2.1, 0.1, "1"),
        "zr_cl_coordination": (4.0, 0.1, "1"),
        "zr_zr_corner_o_fraction": (0.5, 0.05, "1"),
        "zr_zr_corner_cl_fraction": (0.3, 0.05, "1"),
        "zr_zr_edge_fraction": (0.2, 0.05, "1"),
        "zr_zr_face_fraction": (0.0, 0.0, "1"),
        "cl_terminal_fraction": (0.4, 0.05, "1"),
        "cl_bridging_fraction": (0.3, 0.05, "1"),
        "cl_no_zr_fraction": (0.3, 0.05, "1"),
        "activation_energy_eV": (0.31, 0.02, "eV"),
        "conductivity_298K_mS_cm": (0.9, 0.5, "mS/cm"),
        "haven_ratio": (0.6, 0.1, "1"),
        "rw_data": (0.2, 0.01, "1"),
    }
    published = published_sample(FORMULA)
    assert published is not None
    rows = [
        QuantityRow(name, Estimate(v, e, n, unit), f"made up: {name}", None, published.reference_for(name))
        for name, (v, e, unit) in values.items()
    ]
    hot, cold = Estimate(2.1e-5, 3e-6, n, "cm2/s"), Estimate(4e-7, None, n, "cm2/s")
    rows.append(QuantityRow("li_diffusivity_cm2_s", hot, "made up", 900.0))
    rows.append(QuantityRow("li_diffusivity_cm2_s", cold, "upper bound, made up", 600.0))
    return rows


def made_up_snapshot() -> SnapshotPart:
    """Return one Zr at the corner of a cell, with two O and four Cl around it, and a Li far away."""
    around = [(2.0, 0, 0), (-2.0, 0, 0), (0, 2.5, 0), (0, -2.5, 0), (0, 0, 2.5), (0, 0, -2.5)]
    positions = [(0.0, 0.0, 0.0), *((x % 10, y % 10, z % 10) for x, y, z in around), (5.0, 5.0, 5.0)]
    return SnapshotPart(
        label="glass 1",
        elements=("Zr", "O", "O", "Cl", "Cl", "Cl", "Cl", "Li"),
        positions_A=positions,
        cell_A=((10.0, 0.0, 0.0), (0.0, 10.0, 0.0), (0.0, 0.0, 10.0)),
        center="Zr",
        bridging=("O", "Cl"),
        cutoffs_A={"O-Zr": 2.4, "Cl-Zr": 3.0},
    )


def made_up_settings() -> dict[str, Any]:
    """Return the settings of the quick preset as study.json holds them, for the made-up run."""
    study = read_study(preset="quick")
    return {
        "mlsim": "0.1.0",
        "potential": "none-at-all",
        "potential_sha256": "0" * 64,
        "simulation": study.simulation,
        "analysis": study.analysis,
    }


def made_up_series(**changes: Any) -> ReportSeries:
    """Return a series with something in every part."""
    r, time = np.linspace(0.1, 8, 60), np.linspace(0, 50, 40)
    wave = Line.model_validate({"x": r, "y": np.sin(r), "sigma": np.full(60, 0.1)})
    shares = {"zr_zr_corner_o_fraction": 0.5, "zr_zr_corner_cl_fraction": 0.3, "zr_zr_edge_fraction": 0.2}
    msd = {"lag_ps": time[1:], "msd_A2": time[1:] * 0.1, "standard_error_A2": time[1:] * 0.01}
    fields: dict[str, Any] = {
        "title": "A made-up run",
        "composition": FORMULA,
        "preset": "quick",
        "potential": PotentialPart(name="none-at-all", sha256="0" * 64),
        "n_glasses": 4,
        "n_atoms": 114,
        "notes": ("All numbers are made up.",),
        "published": published_sample(FORMULA),
        "s_of_q": wave,
        "g_pdf": wave,
        "q_max_per_A": 20.0,
        "partials": {"O-Zr": wave, "Cl-Zr": wave, "Li-Li": wave},
        "q_partials": {"O-Zr": wave, "Cl-Zr": wave, "Li-Li": wave},
        "snapshot": made_up_snapshot(),
        "coordination": (CoordinationHistogram(center="Zr", neighbour="O", n_neighbours=(1, 2), fraction=(0.5, 0.5)),),
        "links": tuple(
            Share(label=k, fraction=v, standard_error=0.05) for k, v in {**shares, "zr_zr_face_fraction": 0.0}.items()
        ),
        "cl_by_zr": tuple(Share(label=str(n), fraction=0.25) for n in range(4)),
        "msd": (
            MsdPart(temperature_K=900, fit_from_ps=10, fit_to_ps=40, **msd),
            MsdPart(temperature_K=600, diffusive=False, **msd),
        ),
        "arrhenius": ArrheniusPart(
            points=(
                ArrheniusPoint(temperature_K=900, diffusivity_cm2_s=2.1e-5, standard_error_cm2_s=3e-6),
                ArrheniusPoint(temperature_K=600, diffusivity_cm2_s=4e-7, diffusive=False, used=False),
            ),
            line=Line(x=(900.0, 298.0), y=(2.1e-5, 1e-8)),
            line_low=(1.9e-5, 4e-9),
            line_high=(2.3e-5, 3e-8),
            carriers_per_A3=0.0135,
        ),
        "thermo": (
            ThermoPart(
                label="glass 1",
                time_ps=tuple(time),
                temperature_K=tuple(2000 - 30 * time),
                density_g_cm3=tuple(1.6 + 0.008 * time),
                energy_eV_per_atom=tuple(-4.9 - 0.004 * time),
            ),
        ),
    }
    return ReportSeries(**{**fields, **changes})


@pytest.fixture
def run_folder(tmp_path: Path) -> Writer:
    """Return a function that writes a made-up run and returns its folder."""

    def write(rows: list[QuantityRow] | None = None, **changes: Any) -> Path:
        provenance = Provenance.here(potential_sha256="0" * 64, settings_sha256="b" * 64, seed=11)
        write_result(tmp_path / "result.json", made_up_rows() if rows is None else rows, provenance)
        write_series(tmp_path / "series.json", made_up_series(**changes))
        return tmp_path

    return write


@pytest.fixture
def full_folder(tmp_path: Path) -> Path:
    """Return the folder of a made-up run with every piece: numbers, curves, settings and a refinement."""
    settings = made_up_settings()
    text = json.dumps({**settings["simulation"], **settings["analysis"]}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    folder = tmp_path / "full"
    provenance = Provenance.here(potential_sha256="0" * 64, settings_sha256=digest, seed=11)
    write_result(folder / "result.json", made_up_rows(), provenance)
    write_series(folder / "series.json", made_up_series())
    (folder / "study.json").write_text(json.dumps(settings), encoding="utf-8")
    fit = Estimate(0.1, 0.01, 3, "1")
    rows = [QuantityRow("rw_sq", fit, "R value of Q [S − 1], xray"), QuantityRow("zr_o_coordination", fit, "bonds")]
    write_result(folder / "rmc" / "result.json", rows, Provenance.here(seed=1))
    lines = ["x,data,data_sigma,model,model_error", *(f"{q},{np.sin(q)},0.1,{np.sin(q)},0.02" for q in range(1, 9))]
    (folder / "rmc" / "fit_sq.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    verdicts = [{"name": "zr_o_coordination", "verdict": "set by the data"}]
    (folder / "rmc" / "influence.json").write_text(json.dumps(verdicts), encoding="utf-8")
    return folder
