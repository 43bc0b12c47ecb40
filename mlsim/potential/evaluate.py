"""How good a potential is: errors on held-out frames by class, lattice constants, repulsion at short range."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from numpy.typing import NDArray

from mlsim.errors import NotConverged
from mlsim.potential.committee import SYMMETRIC_EV_A
from mlsim.potential.crystals import CUBIC_CRYSTALS, crystal_cell
from mlsim.potential.sample import FIRST_SHELL_A
from mlsim.progress import Progress, SilentProgress
from mlsim.units import GPA_PER_EV_A3

__all__ = [
    "ClassError",
    "Prediction",
    "class_errors",
    "class_of",
    "composition_of",
    "energy_shifts",
    "errors_by",
    "lattice_constants",
    "pair_curves",
    "predictions",
    "shortest_repulsion",
]


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassError:
    """Root-mean-square and mean absolute errors of a potential on the frames of one class.

    Attributes
    ----------
    name
        The class; see `class_of`.
    n_frames, n_atoms
        Size of the class.
    energy_meV
        Per atom, meV.
    forces_eV_A
        Per component, eV/Å.
    forces_of_teacher_eV_A
        Root mean square of the teacher's force components, eV/Å: the scale of the error.
    stress_GPa
        Per component, GPa.
    energy_mae_meV, forces_mae_eV_A, stress_mae_GPa
        The same as mean absolute errors.
    energy_bias_meV, pressure_bias_GPa
        Mean of predicted less labelled energy per atom and pressure.
    """

    name: str
    n_frames: int
    n_atoms: int
    energy_meV: float
    forces_eV_A: float
    forces_of_teacher_eV_A: float
    stress_GPa: float
    energy_mae_meV: float
    forces_mae_eV_A: float
    stress_mae_GPa: float
    energy_bias_meV: float
    pressure_bias_GPa: float


def class_of(frame: Atoms) -> str:
    """Return the class of a frame: contact, packing, relaxation, crystal, or melt, hot from 1300 K on, by cell size."""
    kind = str(frame.info.get("kind", "other"))
    if kind == "crystal" and frame.calc is not None and float(np.abs(frame.get_forces()).max()) < SYMMETRIC_EV_A:
        return "crystal, forces zero by symmetry"
    if kind != "melt":
        return kind
    if "stage" in frame.info:
        return str(frame.info["stage"])
    heat = "hot" if float(frame.info.get("temperature_K", 0)) >= 1300 else "cool"
    return f"{heat} melt, {'large' if len(frame) > 60 else 'small'} cell"


def temperature_class(frame: Atoms) -> str | None:
    """Return the range of temperature of an oxychloride's glass or melt; None for every other frame.

    Examples
    --------
    >>> temperature_class(Atoms("LiZrOCl", info={"kind": "melt", "temperature_K": 700.0}))
    'at most 900 K'
    >>> temperature_class(Atoms("LiCl", info={"kind": "melt", "temperature_K": 700.0})) is None
    True
    """
    if frame.info.get("kind") != "melt" or set(frame.get_chemical_symbols()) != {"Li", "Zr", "O", "Cl"}:
        return None
    kelvin = float(frame.info.get("temperature_K", 0))
    return "at most 900 K" if kelvin <= 900 else "between 900 and 1300 K" if kelvin < 1300 else "from 1300 K"


@dataclass(frozen=True)
class Prediction:
    """What a potential says about a labelled frame: energy eV, forces eV/Å, stress eV/Å3 in Voigt order."""

    frame: Atoms
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


def composition_of(frame: Atoms) -> str:
    """Return the composition of a frame as a class: its formula per Zr, or in lowest terms where there is none.

    Examples
    --------
    >>> composition_of(Atoms("Li6Zr2Cl8O3")), composition_of(Atoms("Li4O2"))
    ('Li3ZrCl4O1.5', 'Li2O')
    """
    counts = Counter(frame.get_chemical_symbols())
    if "Zr" not in counts:
        return str(frame.get_chemical_formula(mode="metal", empirical=True))
    order = sorted(counts, key=lambda e: (["Li", "Zr", "Cl", "O"].index(e) if e in ("Li", "Zr", "Cl", "O") else 9, e))
    return "".join(e if counts[e] == counts["Zr"] else f"{e}{counts[e] / counts['Zr']:g}" for e in order)


def predictions(
    calculator: Any,
    frames: Sequence[Atoms],
    progress: Progress | None = None,
    *,
    energy_shifts_eV: Mapping[str, float] | None = None,
) -> list[Prediction]:
    """Return what `calculator` says about labelled frames.

    Parameters
    ----------
    calculator, frames
        What is judged, and on what.
    energy_shifts_eV
        Added per atom of each element: moves a potential to the energy zero of the labels, see `energy_shifts`.
    """
    say = progress or SilentProgress()
    shifts = energy_shifts_eV or {}
    found = []
    for done, frame in enumerate(frames, 1):
        atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell[:], pbc=True)
        atoms.calc = calculator
        energy = atoms.get_potential_energy() + sum(shifts.get(symbol, 0.0) for symbol in atoms.get_chemical_symbols())
        found.append(Prediction(frame, energy, atoms.get_forces(), atoms.get_stress()))
        say("evaluate", done, len(frames))
    return found


def energy_shifts(calculator: Any, frames: Sequence[Atoms]) -> dict[str, float]:
    """Return, for each element, what least squares adds per atom to bring energies to those of the labels, eV.

    A potential made with another code has another energy zero per element; only what is left after this shift is an
    error. With fewer independent compositions than elements the smallest shift is taken. Fit it on training frames.
    """
    elements = sorted({symbol for frame in frames for symbol in frame.get_chemical_symbols()})
    counts = np.array([[f.get_chemical_symbols().count(e) for e in elements] for f in frames], dtype=float)
    missing = np.array([p.frame.get_potential_energy() - p.energy for p in predictions(calculator, frames)])
    size = counts.sum(axis=1)
    fitted = np.linalg.lstsq(counts / size[:, None], missing / size, rcond=None)[0]
    return dict(zip(elements, map(float, fitted), strict=True))


def class_errors(
    calculator: Any,
    frames: Sequence[Atoms],
    progress: Progress | None = None,
    *,
    key: Callable[[Atoms], str] = class_of,
    energy_shifts_eV: Mapping[str, float] | None = None,
) -> list[ClassError]:
    """Return the errors of `calculator` on labelled frames by class (`class_of`, `composition_of`), sorted by name."""
    return errors_by(predictions(calculator, frames, progress, energy_shifts_eV=energy_shifts_eV), key)


def errors_by(found: Sequence[Prediction], key: Callable[[Atoms], str | None]) -> list[ClassError]:
    """Return the errors of predictions by class, sorted by name; frames without a class are left out."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    for one in found:
        labels, n, name = one.frame, len(one.frame), key(one.frame)
        if name is None:
            continue
        energy_error = (one.energy - labels.get_potential_energy()) / n
        force_error, stress_error = one.forces - labels.get_forces(), one.stress - labels.get_stress()
        signed = -stress_error[:3].mean()  # of the pressure
        squares = ((force_error**2).sum(), (labels.get_forces() ** 2).sum(), (stress_error**2).mean())
        absolute = (np.abs(force_error).sum(), np.abs(stress_error).mean())
        rows.setdefault(name, []).append((n, energy_error, *map(float, (*squares, *absolute, signed))))
    return [_class_error(name, np.array(values)) for name, values in sorted(rows.items())]


def _class_error(name: str, values: Any) -> ClassError:
    atoms = values[:, 0].sum()
    return ClassError(
        name=name,
        n_frames=len(values),
        n_atoms=int(atoms),
        energy_meV=1e3 * float(np.sqrt((values[:, 1] ** 2).mean())),
        forces_eV_A=float(np.sqrt(values[:, 2].sum() / (3 * atoms))),
        forces_of_teacher_eV_A=float(np.sqrt(values[:, 3].sum() / (3 * atoms))),
        stress_GPa=GPA_PER_EV_A3 * float(np.sqrt(values[:, 4].mean())),
        energy_mae_meV=1e3 * float(np.abs(values[:, 1]).mean()),
        forces_mae_eV_A=float(values[:, 5].sum() / (3 * atoms)),
        stress_mae_GPa=GPA_PER_EV_A3 * float(values[:, 6].mean()),
        energy_bias_meV=1e3 * float(values[:, 1].mean()),
        pressure_bias_GPa=GPA_PER_EV_A3 * float(values[:, 7].mean()),
    )


def lattice_constants(calculator: Any) -> dict[str, float]:
    """Return the relaxed lattice constants of LiCl, Li2O and cubic ZrO2, Å."""
    constants = {}
    for name in CUBIC_CRYSTALS:
        atoms = crystal_cell(name)
        atoms.calc = calculator
        optimiser = FIRE(FrechetCellFilter(atoms), logfile=None)
        if not optimiser.run(fmax=0.005, steps=300):
            raise NotConverged(f"lattice constant of {name}: not relaxed to 0.005 eV/Å after 300 steps")
        constants[name] = float(atoms.cell.lengths().mean())
    return constants


def shortest_repulsion(calculator: Any, elements: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return, for each pair alone in vacuum, the weakest repulsion in eV/Å from 0.5 Å to 0.45 of the usual distance.

    Negative means that the pair attracts somewhere in there: a hole through which a melt collapses. The range ends
    where free molecules begin (Cl–O 1.46 Å; the bond of ClO is 1.57 Å long).
    """
    weakest = {}
    for pair in combinations_with_replacement(sorted(elements), 2):
        forces = []
        for distance in np.linspace(0.5, 0.45 * FIRST_SHELL_A[pair], 20):
            forces.append(float(_pair_in_vacuum(pair, distance, calculator).get_forces()[1, 0]))
        weakest[pair] = min(forces)
    return weakest


def pair_curves(calculator: Any, elements: Sequence[str]) -> dict[tuple[str, str], tuple[Floats, Floats]]:
    """Return, for each pair alone in vacuum, distances from 0.5 to 3.5 Å and energies relative to 9 Å, eV."""
    curves = {}
    for pair in combinations_with_replacement(sorted(elements), 2):
        distances = np.linspace(0.5, 3.5, 121)
        apart = _pair_in_vacuum(pair, 9.0, calculator).get_potential_energy()
        energies = [_pair_in_vacuum(pair, d, calculator).get_potential_energy() - apart for d in distances]
        curves[pair] = (distances, np.array(energies))
    return curves


def _pair_in_vacuum(pair: tuple[str, str], distance: float, calculator: Any) -> Atoms:
    """Return two atoms that the calculator has been asked about."""
    atoms = Atoms(pair, positions=[(0, 0, 0), (distance, 0, 0)], cell=[20, 20, 20], pbc=True)
    atoms.calc = calculator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the engine says once that its repulsive wall was met
        atoms.get_forces()
    return atoms
