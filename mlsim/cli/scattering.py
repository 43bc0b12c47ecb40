"""`mlsim scatter`, `identify` and `convert`: what a diffractometer would see, and what measured files hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mlsim.cli.files import Files, Force, read_ensembles, require_absent

if TYPE_CHECKING:
    import numpy as np

    from mlsim.curve import Curve, Estimate, Quantity
    from mlsim.scattering import Identification, Probe

__all__ = ["convert", "identify", "probe_of", "scatter"]

Name = Literal[
    "s_of_q", "i_of_q", "qi_of_q", "f2_of_q", "f_keen", "g_pdf", "t_of_r", "g_of_r", "g_keen", "d_keen", "t_keen"
]
Beam = Annotated[Literal["xray", "neutron"], typer.Option("--radiation", help="X-rays or neutrons.")]
Window = Annotated[Literal["step", "lorch"], typer.Option(help="Of the sine transform, for r.")]
Ions = Annotated[bool, typer.Option("--ions", help="X-ray form factors of ions, not of neutral atoms.")]
Isotopes = Annotated[
    list[str] | None,
    typer.Option("--isotope", metavar="7Li[=SHARE]", help="Neutrons: isotope in place of the natural element."),
]
Wavelength = Annotated[
    float | None, typer.Option("--wavelength-A", help="X-rays: add the anomalous terms at this wavelength, Å.")
]
Formula = Annotated[str, typer.Option("--composition", metavar="FORMULA", help="Such as Li3ZrCl4O1.5.")]
Density = Annotated[float | None, typer.Option("--density-g-cm3", help="Mass density, where known.")]
Repairs = Annotated[
    list[str] | None, typer.Option("--repair", metavar="RULE", help="Mend an odd file; an unknown RULE lists them.")
]


def scatter(
    files: Files,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.csv", help="Curve: x,y and sigma.")],
    radiation: Beam = "xray",
    quantity: Annotated[Name, typer.Option(help="Which function.")] = "s_of_q",
    q_max: Annotated[float, typer.Option("--q-max", help="Largest Q, 1/Å.")] = 25.0,
    q_step: Annotated[float, typer.Option("--q-step", help="Step of Q, 1/Å.")] = 0.02,
    q_min: Annotated[float, typer.Option("--q-min", help="Smallest Q, 1/Å.")] = 0.0,
    r_max: Annotated[
        float | None,
        typer.Option(
            "--r-max", help="End of the curve (function of r) or of the pair sum (function of Q), Å; half the cell."
        ),
    ] = None,
    window: Window = "step",
    ions: Ions = False,
    isotope: Isotopes = None,
    wavelength: Wavelength = None,
    q_damp: Annotated[float, typer.Option("--q-damp", help="Qdamp of the instrument, 1/Å.")] = 0.0,
    q_broad: Annotated[float, typer.Option("--q-broad", help="Qbroad of the instrument, relative.")] = 0.0,
    force: Force = False,
) -> None:
    """Total scattering of one glass, or mean and standard error over several."""
    from mlsim.io.measurements import write_curve_csv
    from mlsim.scattering import Instrument, over_glasses, smallest_q, total_scattering

    require_absent(output, force)
    ensembles = read_ensembles(files)
    elements = sorted(set(ensembles[0][0].get_chemical_symbols()))
    probe = probe_of(radiation, ions=ions, isotopes=isotope, wavelength_A=wavelength, elements=elements)
    curves = [
        total_scattering(
            frames,
            radiation=probe,
            quantity=quantity,
            q_max=q_max,
            q_step=q_step,
            q_min=q_min,
            r_max_A=r_max,
            window=window,
            instrument=Instrument(q_damp, q_broad),
        )
        for frames in ensembles
    ]
    curve = over_glasses(curves)
    write_curve_csv(output, curve)
    lowest = max(smallest_q(frames) for frames in ensembles)
    if curve.quantity.of_q and curve.x[0] < lowest:
        typer.echo(
            f"note: below Q = {lowest:.3g} 1/Å the box holds no density wave; nothing there is of the glass", err=True
        )
    typer.echo(f"wrote {output}: {quantity}, {len(curve.x)} points, {len(curves)} glasses")


def identify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Measured curve: text of columns.")],
    composition: Formula,
    density: Density = None,
    radiation: Annotated[
        Literal["xray", "neutron"] | None,
        typer.Option("--radiation", help="X-rays or neutrons; left out: as the file says, or X-rays."),
    ] = None,
    isotope: Isotopes = None,
    repair: Repairs = None,
) -> None:
    """Which function and normalisation a measured file holds, with the evidence, as JSON."""
    import json

    from mlsim.composition import Composition
    from mlsim.io.columns import read_columns
    from mlsim.io.measurements import identified_file

    sample = Composition.parse(composition)
    columns = read_columns(file, repair or [])
    beam = radiation or _radiation_of(file, columns.header)
    number_density = None if density is None else sample.number_density(density_g_cm3=density)
    found = identified_file(
        file,
        columns,
        sample.fractions,
        radiation=probe_of(beam, isotopes=isotope, elements=sample.elements),
        number_density=number_density,
    )
    density_text = None
    if found.number_density is not None:
        density_text = _estimate_json(found.number_density)
        density_text["g_cm3"] = sample.density_g_cm3(number_density=found.number_density.value)
    answer = {
        "file": str(file),
        **_identification_json(found),
        "radiation": beam,
        "number_density_per_A3": density_text,
        "notes": list(columns.notes),
    }
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Curve: text of columns.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.csv", help="Converted curve: x,y,(sigma).")],
    given: Annotated[Name, typer.Option("--from", help="Which function the file holds.")],
    wanted: Annotated[Name, typer.Option("--to", help="Which function to write.")],
    composition: Formula,
    density: Density = None,
    radiation: Beam = "xray",
    ions: Ions = False,
    isotope: Isotopes = None,
    q_min: Annotated[float | None, typer.Option("--q-min", help="Smallest Q to use or to write, 1/Å.")] = None,
    q_max: Annotated[float | None, typer.Option("--q-max", help="Largest Q to use or to write, 1/Å.")] = None,
    r_max: Annotated[float | None, typer.Option("--r-max", help="Largest r to use or to write, Å.")] = None,
    window: Window = "step",
    repair: Repairs = None,
    force_quantity: Annotated[
        bool, typer.Option("--force-quantity", help="Believe --from even against the limits of the curve.")
    ] = False,
    force: Force = False,
) -> None:
    """One function of total scattering as another; through the sine transform where it leads from Q to r or back."""
    from mlsim.composition import Composition
    from mlsim.curve import Quantity
    from mlsim.io.measurements import read_measurement, write_curve_csv
    from mlsim.scattering import converted

    require_absent(output, force)
    sample = Composition.parse(composition)
    number_density = None if density is None else sample.number_density(density_g_cm3=density)
    probe = probe_of(radiation, ions=ions, isotopes=isotope, elements=sample.elements)
    measured = read_measurement(
        file,
        given,
        probe,
        composition,
        repair=repair or [],
        fractions=None if force_quantity else sample.fractions,
        number_density=number_density,
    )
    for note in measured.notes:
        typer.echo(f"note: {file}: {note}", err=True)
    curve, grid = _cut(measured.curve, Quantity(wanted), q_min, q_max, r_max)
    result = converted(
        curve,
        wanted,
        fractions=sample.fractions,
        radiation=probe,
        number_density=number_density,
        grid=grid,
        window=window,
    )
    write_curve_csv(output, result)
    typer.echo(f"wrote {output}: {wanted}, {len(result.x)} points from {result.x[0]:g} to {result.x[-1]:g}")


def _cut(
    curve: Curve, wanted: Quantity, q_min: float | None, q_max: float | None, r_max: float | None
) -> tuple[Curve, np.ndarray | None]:
    """The range of the curve that is used, and the grid of the result where a transform leads to it."""
    import numpy as np

    to_q, through = wanted.of_q, wanted.of_q != curve.quantity.of_q
    low, high = (q_min or 0.0, q_max) if curve.quantity.of_q else (0.0, r_max)
    if curve.x[0] == 0 and not through and low == 0:
        low = float(curve.x[1])  # 0/0 in most functions
    part = curve.between(low, float(curve.x[-1]) if high is None else high)
    if not through:
        return part, None
    start, end, step = (q_min or 0.02, q_max or 25.0, 0.02) if to_q else (0.01, r_max or 20.0, 0.01)
    return part, np.arange(start, end + step / 2, step)


def _identification_json(found: Identification) -> dict[str, Any]:
    return {
        "quantity": str(found.quantity),
        "normalisation": found.normalisation,
        "x_min": found.x_min,
        "x_max": found.x_max,
        "confidence": found.confidence,
        "evidence": list(found.evidence),
        "alternatives": [{"function": name, "behind_by": margin} for name, margin in found.alternatives],
        "scale": None if found.scale is None else _estimate_json(found.scale),
        "doubts": list(found.doubts),
    }


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "standard_error": estimate.standard_error}


def _radiation_of(file: Path, header: dict[str, str] | Any) -> Literal["xray", "neutron"]:
    """What a file says of its radiation: the mode of PDFgetX3 and PDFgetN3, or an ending that only neutrons have."""
    if "neutron" in str(header.get("mode", "")).lower() or file.suffix.lower() in (".mint01", ".mdcs01"):
        return "neutron"
    return "xray"


def probe_of(
    radiation: Literal["xray", "neutron"],
    *,
    ions: bool = False,
    isotopes: Sequence[str] | None = None,
    wavelength_A: float | None = None,
    elements: Sequence[str] = (),
) -> Probe:
    """Return the probe that options name."""
    import re

    from mlsim.errors import SettingsError
    from mlsim.scattering import Probe, anomalous_terms

    shares: dict[str, dict[int, float]] = {}
    for text in isotopes or []:
        match = re.fullmatch(r"(\d+)([A-Z][a-z]?)(?:=(\d*\.?\d+))?", text)
        if match is None:
            raise SettingsError(f"--isotope {text}: expected mass number and element such as 7Li, or 6Li=0.95")
        shares.setdefault(match.group(2), {})[int(match.group(1))] = float(match.group(3) or 1.0)
    if wavelength_A is not None and radiation == "neutron":
        raise SettingsError("--wavelength-A: neutrons have no anomalous terms; leave it out or use --radiation xray")
    anomalous = {} if wavelength_A is None else anomalous_terms(elements, wavelength_A=wavelength_A)
    return Probe(radiation, ions=ions, isotopes=shares, anomalous=anomalous)
