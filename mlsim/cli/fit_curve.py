"""`mlsim fit-curve`: structures beside a measured curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlsim.cli.files import Files, Force, read_ensembles, require_absent
from mlsim.cli.scattering import Ions, Isotopes, Repairs, Wavelength, Window, probe_of

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms

    from mlsim.curve import Curve, Measurement
    from mlsim.io.results import QuantityRow
    from mlsim.scattering import CurveFit, Probe

__all__ = ["fit_curve"]

_Q_STEP = 0.02


def fit_curve(
    files: Files,
    data: Annotated[
        str, typer.Option(metavar="FILE:QUANTITY:RADIATION", help="Measured curve, such as ni.gr:g_pdf:xray.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the results.")],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=LOW:HIGH]", help="Fit scale, q_damp, displacement or density; nothing by default."),
    ] = None,
    start: Annotated[float | None, typer.Option("--from", help="Start of the compared range, 1/Å or Å.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="End of the compared range; half the box for r.")] = None,
    q_min: Annotated[
        float | None, typer.Option("--q-min", help="Of the transform that made a function of r; as its header says.")
    ] = None,
    q_max: Annotated[
        float | None, typer.Option("--q-max", help="Of the transform that made a function of r; as its header says.")
    ] = None,
    window: Window = "step",
    q_damp: Annotated[float, typer.Option("--q-damp", help="Qdamp of the instrument, 1/Å, where not fitted.")] = 0.0,
    q_broad: Annotated[float, typer.Option("--q-broad", help="Qbroad of the instrument, relative.")] = 0.0,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Function of Q: data and model alike with the resolution of the box.")
    ] = False,
    ions: Ions = False,
    isotope: Isotopes = None,
    wavelength: Wavelength = None,
    peak: Annotated[
        list[str] | None, typer.Option(metavar="LOW:HIGH", help="Position of the peak in a range, model and data.")
    ] = None,
    coordination: Annotated[
        list[str] | None,
        typer.Option(metavar="A-B=R", help="Atoms B around A within R Å."),
    ] = None,
    repair: Repairs = None,
    force_quantity: Annotated[
        bool, typer.Option("--force-quantity", help="Believe QUANTITY even against the limits of the curve.")
    ] = False,
    force: Force = False,
) -> None:
    """Structures beside a measured curve: Rw, χ², fitted nuisance parameters with errors, peaks, figure.

    Writes DIR/result.json, DIR/curve.csv and DIR/figure.png.
    """
    from mlsim.io.results import Provenance, write_result
    from mlsim.report import write_fit_figure
    from mlsim.scattering import Instrument, fitted_curve, peak_position

    path, quantity, radiation = _data(data)
    varied = dict(_vary(text) for text in vary or [])
    peaks = [_two(text, f"--peak {text}") for text in peak or []]
    shells = [_shell(text) for text in coordination or []]
    for name in ("result.json", "curve.csv", "figure.png"):
        require_absent(output / name, force)
    ensembles = read_ensembles(files)
    elements = sorted(set(ensembles[0][0].get_chemical_symbols()))
    probe = probe_of(radiation, ions=ions, isotopes=isotope, wavelength_A=wavelength, elements=elements)
    measured = _measured(path, quantity, probe, ensembles, repair or [], force_quantity)
    curve = _range(measured.curve, ensembles, start, end)
    grid = None if curve.quantity.of_q else _q_grid(path, q_min, q_max)
    for low, high in peaks:
        peak_position(curve, low, high)  # a range without a peak must not cost the fit
    fit = fitted_curve(
        ensembles,
        curve,
        radiation=probe,
        vary=varied,
        q=grid,
        window=window,
        instrument=Instrument(q_damp, q_broad),
        box_A=_box(ensembles) if truncate else None,
    )
    rows = _rows(fit, path)
    rows += [_peak_row(fit, low, high) for low, high in peaks]
    rows += [_coordination_row(ensembles, *shell) for shell in shells]
    write_result(output / "result.json", rows, Provenance.here())
    _write_curves(output / "curve.csv", fit)
    write_fit_figure(output / "figure.png", fit, title=f"{path.name}, {radiation}")
    _say(fit, rows)
    typer.echo(f"wrote {output}/result.json, curve.csv and figure.png")


def _data(text: str) -> tuple[Path, str, Literal["xray", "neutron"]]:
    from mlsim.curve import Quantity
    from mlsim.errors import SettingsError, did_you_mean

    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not parts[0]:
        raise SettingsError(f"--data {text}: expected FILE:QUANTITY:RADIATION, such as ni.gr:g_pdf:xray")
    path, quantity, radiation = parts
    if quantity not in list(Quantity):
        raise SettingsError(f"--data {text}: quantity '{quantity}': {did_you_mean(quantity, list(Quantity))}")
    if radiation == "xray":
        return Path(path), quantity, "xray"
    if radiation == "neutron":
        return Path(path), quantity, "neutron"
    raise SettingsError(f"--data {text}: radiation '{radiation}': {did_you_mean(radiation, ['xray', 'neutron'])}")


def _measured(
    path: Path,
    quantity: str,
    probe: Probe,
    ensembles: Sequence[Sequence[Atoms]],
    repair: Sequence[str],
    force_quantity: bool,
) -> Measurement:
    from mlsim.composition import Composition
    from mlsim.io.measurements import read_measurement

    first = ensembles[0][0]
    composition = Composition.of_atoms(first.get_chemical_symbols())
    measured = read_measurement(
        path,
        quantity,
        probe,
        composition.formula,
        repair=repair,
        fractions=None if force_quantity else composition.fractions,
        number_density=len(first) / first.get_volume(),
    )
    for note in measured.notes:
        typer.echo(f"note: {path}: {note}", err=True)
    return measured


def _range(curve: Curve, ensembles: Sequence[Sequence[Atoms]], start: float | None, end: float | None) -> Curve:
    """Cut the data to what was asked for and what the box can say, and say what the box took away."""
    from mlsim.scattering import smallest_q

    if curve.quantity.of_q:
        lowest, highest = max(smallest_q(frames) for frames in ensembles), float(curve.x[-1])
    else:
        lowest, highest = 1e-6, min(_box(ensembles), float(curve.x[-1]))
    if start is not None and start < lowest and curve.quantity.of_q:
        typer.echo(f"note: below Q = {lowest:.3g} 1/Å the box holds no density wave; compared from there", err=True)
    if end is not None and end > highest and not curve.quantity.of_q:
        typer.echo(f"note: beyond r = {highest:.3g} Å the neighbours are images: right for a crystal only", err=True)
    return curve.between(max(start or 0.0, lowest), highest if end is None else end)


def _box(ensembles: Sequence[Sequence[Atoms]]) -> float:
    from mlsim.geometry import largest_exact_radius

    return min(largest_exact_radius(atoms.cell.array) for frames in ensembles for atoms in frames)


def _q_grid(path: Path, q_min: float | None, q_max: float | None) -> np.ndarray:
    """Grid of Q of the transform that made a function of r, from the options or the header."""
    import numpy as np

    from mlsim.errors import SettingsError
    from mlsim.io.columns import read_columns

    header = read_columns(path, ["sort", "drop-nonfinite", "drop-bad-lines"]).header
    try:
        low = float(header.get("qmin", 0.0)) if q_min is None else q_min
        high = float(header["qmax"]) if q_max is None else q_max
    except (KeyError, ValueError):
        raise SettingsError(
            f"{path}: does not say the largest Q of its transform, which the model must share; give it with --q-max"
        ) from None
    if not 0 <= low < high:
        raise SettingsError(f"{path}: transform from Q = {low:g} to {high:g} 1/Å; expected 0 <= q-min < q-max")
    return np.linspace(max(low, _Q_STEP), high, round((high - max(low, _Q_STEP)) / _Q_STEP) + 1)


def _vary(text: str) -> tuple[str, tuple[float, float] | None]:
    name, _, bounds = text.partition("=")
    return name, _two(bounds, f"--vary {text}") if bounds else None


def _two(text: str, option: str) -> tuple[float, float]:
    from mlsim.errors import SettingsError

    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise SettingsError(f"{option}: expected two numbers as LOW:HIGH") from None
    return low, high


def _rows(fit: CurveFit, path: Path) -> list[QuantityRow]:
    from mlsim.curve import Estimate
    from mlsim.io.results import QuantityRow

    x, fitted = fit.data.x, ", ".join(fit.parameters) or "nothing"
    span = f"{fit.data.quantity} from {x[0]:g} to {x[-1]:g}; fitted: {fitted}"
    rows = [QuantityRow(f"rw_{path.stem}", fit.rw, f"Rw of {span}")]
    if fit.chi_squared is not None:
        chi = Estimate(fit.chi_squared, None, len(fit.glasses), "1")
        rows.append(QuantityRow(f"chi_squared_{path.stem}", chi, f"mean squared deviation in sigma of {span}"))
    for name, estimate in fit.parameters.items():
        ended = "; ended at its bound" if name in fit.at_bound else ""
        rows.append(QuantityRow(f"fit_{name}", estimate, f"least squares of {span}{ended}"))
    return rows


def _shell(text: str) -> tuple[str, str, float]:
    """Return center, neighbour and radius of a text such as Zr-O=2.6."""
    from mlsim.errors import SettingsError

    pair, _, radius = text.partition("=")
    center, _, neighbour = pair.partition("-")
    try:
        return center, neighbour, float(radius)
    except ValueError:
        raise SettingsError(f"--coordination {text}: expected pair and radius in Å, such as Zr-O=2.6") from None


def _peak_row(fit: CurveFit, low: float, high: float) -> QuantityRow:
    from mlsim.io.results import QuantityRow, Reference
    from mlsim.scattering import peak_position, peak_positions

    own = peak_positions(fit.glasses, low, high)
    seen = Reference(peak_position(fit.data, low, high), None, "the measured curve")
    name = f"peak_{low:g}_{high:g}"
    return QuantityRow(name, own, f"highest point of the model between {low:g} and {high:g}", reference=seen)


def _coordination_row(
    ensembles: Sequence[Sequence[Atoms]], center: str, neighbour: str, radius_A: float
) -> QuantityRow:
    from mlsim.io.results import QuantityRow
    from mlsim.scattering import running_coordination

    estimate = running_coordination(ensembles, center, neighbour, [radius_A])[0]
    name = f"{center}_{neighbour}_coordination".lower()
    return QuantityRow(name, estimate, f"atoms {neighbour} within {radius_A:g} Å of {center}")


def _write_curves(path: Path, fit: CurveFit) -> None:
    from mlsim.io.tables import write_table_csv

    columns: dict[str, np.ndarray] = {"x": fit.data.x, "data": fit.data.y, "model": fit.model.y}
    columns["difference"] = fit.data.y - fit.model.y
    for name, curve in (("data_sigma", fit.data), ("model_sigma", fit.model)):
        if curve.sigma is not None:
            columns[name] = curve.sigma
    columns |= {f"{a}-{b}": term.y for (a, b), term in fit.terms.items()}
    write_table_csv(path, columns)


def _say(fit: CurveFit, rows: Sequence[QuantityRow]) -> None:
    for row in rows:
        beside = "" if row.reference is None else f" (measured {row.reference.value:.4g})"
        typer.echo(f"{row.name} = {row.estimate}{beside}")
    for name in fit.at_bound:
        typer.echo(f"note: {name} ended at its bound; widen it with --vary {name}=LOW:HIGH or leave it out", err=True)
