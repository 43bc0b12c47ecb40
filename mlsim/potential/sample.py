"""Structures worth labelling: melts, glasses, strained crystals, packings with their relaxation, close contacts.

A recipe lists groups of chains. A chain is one independent history (one packing, one seed): it is the unit that is
computed, resumed and later split between training and validation, because frames of one chain are correlated.
Every chain is written once, under its own name, when it is complete.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import FIRE
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mlsim.composition import Composition
from mlsim.geometry import neighbour_pairs
from mlsim.potential.crystals import crystal_cell, supercell_near

__all__ = [
    "ChainGroup",
    "ContactGroup",
    "CoreGroup",
    "CrystalGroup",
    "Group",
    "MeltGroup",
    "VolumeGroup",
    "chain_frames",
    "chain_names",
    "closest_fractions",
    "shoved_pair",
]

FIRST_SHELL_A = {
    ("Cl", "Cl"): 3.55,
    ("Cl", "Li"): 2.45,
    ("Cl", "O"): 3.25,
    ("Cl", "Zr"): 2.48,
    ("Li", "Li"): 3.00,
    ("Li", "O"): 1.95,
    ("Li", "Zr"): 3.30,
    ("O", "O"): 2.85,
    ("O", "Zr"): 2.07,
    ("Zr", "Zr"): 3.55,
}
"""Usual first-shell distance of each pair in Li–Zr–O–Cl glasses, Å: the yardstick for contacts and for collapse."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="First part of the names of its chains")
    sampler: str = Field(default="chgnet", description="chgnet, or name or path of one of our potentials")


class MeltGroup(_Group):
    """Packing, relaxation, then Langevin dynamics down a list of temperatures."""

    kind: Literal["melt"] = "melt"
    formulas: tuple[str, ...]
    densities_g_cm3: tuple[float, ...]
    n_atoms: int = 40
    seeds: tuple[int, ...] = (1,)
    temperatures_K: tuple[float, ...] = (2000.0, 1500.0, 1000.0, 300.0)
    ps_each: float = 0.3
    frames_each: int = 3
    timestep_fs: float = 2.0
    relaxation_frames: int = Field(default=3, description="Frames kept of the way from packing to first minimum")
    temperature_offset_K: float = Field(default=0.0, description="Added once per seed, so that chains differ")


class CrystalGroup(_Group):
    """Relaxed crystal, then strained and rattled copies."""

    kind: Literal["crystal"] = "crystal"
    crystals: tuple[str, ...]
    n_atoms: int = 64
    seeds: tuple[int, ...] = (1,)
    frames: int = 8
    largest_rattle_A: float = 0.25
    largest_strain: float = 0.05


class VolumeGroup(_Group):
    """Relaxed crystal at several volumes, its shape kept and its positions relaxed at each: an equation of state."""

    kind: Literal["volumes"] = "volumes"
    crystals: tuple[str, ...]
    seeds: tuple[int, ...] = (1,)
    frames: int = Field(default=5, ge=4, description="Volumes")
    largest_strain: float = Field(default=0.02, gt=0, le=0.06, description="Of a cell vector, on either side")


class ContactGroup(_Group):
    """Frames of other chains in which one pair at a time is shoved together."""

    kind: Literal["contact"] = "contact"
    parents: str = Field(description="Start of the names of the chains whose frames are used")
    seeds: tuple[int, ...] = (1,)
    fractions: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)
    frames_per_pair: int = 4


class CoreGroup(_Group):
    """Pairs pressed below the distance where a teacher can be trusted, in vacuum and inside frames of other chains.

    A universal potential knows nothing of such distances (some are wrong by orders of magnitude below 1 Å), so the
    labeller takes the teacher at `trusted_fraction` of the usual distance and goes on from there with the universal
    ZBL repulsion (J. F. Ziegler, J. P. Biersack, U. Littmark, 1985); see `mlsim.potential.label_worker`.
    """

    kind: Literal["core"] = "core"
    parents: str
    seeds: tuple[int, ...] = (1,)
    trusted_fraction: float = 0.55
    closest_A: float = 0.5
    distances: int = 5


Group: TypeAlias = MeltGroup | CrystalGroup | VolumeGroup | ContactGroup | CoreGroup
ChainGroup: TypeAlias = Annotated[Group, Field(discriminator="kind")]


def chain_names(group: Group) -> list[str]:
    """Return the names of all chains of a group, in the order in which they are computed."""
    return [_chain_name(group, choice, seed) for choice, seed in _chains(group)]


def chain_frames(group: Group, name: str, calculator: Any, parents: Sequence[Atoms] = ()) -> list[Atoms]:
    """Return the frames of one chain; each carries `chain`, `kind` and, where it has one, `temperature_K` in its info.

    Parameters
    ----------
    group, name
        Which chain: one of `chain_names(group)`.
    calculator
        ASE calculator that drives relaxation and dynamics; its forces are not kept.
    parents
        For contacts: frames to start from.
    """
    choice, seed = next(c for c in _chains(group) if _chain_name(group, *c) == name)
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")])
    if isinstance(group, MeltGroup):
        frames = list(_melt_chain(group, choice, seed, calculator, rng))
    elif isinstance(group, CrystalGroup):
        frames = list(_crystal_chain(group, choice[0], calculator, rng))
    elif isinstance(group, VolumeGroup):
        frames = list(_volume_chain(group, choice[0], calculator))
    elif isinstance(group, ContactGroup):
        frames = list(_contact_chain(group, parents, rng))
    else:
        frames = list(_core_chain(group, parents, rng))
    for frame in frames:
        # volumes of a crystal are labelled on the grid of k-points of a crystal
        frame.info.update(chain=name, kind="crystal" if isinstance(group, VolumeGroup) else group.kind)
    return frames


def shoved_pair(atoms: Atoms, first: str, second: str, distance: float, rng: np.random.Generator) -> Atoms | None:
    """Return a copy in which one nearby pair of two elements stands at `distance` Å, both atoms moved along the bond.

    Returns None when the cell holds no such pair within 6 Å.
    """
    pairs = neighbour_pairs(atoms.positions, atoms.cell[:], 6.0)
    symbols = np.array(atoms.get_chemical_symbols())
    fits = (symbols[pairs.first] == first) & (symbols[pairs.second] == second) & (pairs.first != pairs.second)
    if not fits.any():
        return None
    candidates = np.flatnonzero(fits)
    nearest = candidates[np.argsort(pairs.distances[candidates])[: max(1, len(candidates) // 3)]]
    chosen = int(rng.choice(nearest))
    move = pairs.vectors[chosen] * (1 - distance / pairs.distances[chosen]) / 2
    shoved = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell[:], pbc=True)
    shoved.positions[pairs.first[chosen]] += move
    shoved.positions[pairs.second[chosen]] -= move
    shoved.info["shoved"] = f"{first}-{second} {distance:.2f} A"
    shoved.info["shoved_atoms"] = [int(pairs.first[chosen]), int(pairs.second[chosen])]
    return shoved


def _chains(group: Group) -> list[tuple[tuple[Any, ...], int]]:
    choices: list[tuple[Any, ...]]
    if isinstance(group, MeltGroup):
        choices = list(itertools.product(group.formulas, group.densities_g_cm3))
    elif isinstance(group, CrystalGroup | VolumeGroup):
        choices = [(c,) for c in group.crystals]
    else:
        choices = [()]
    return [(choice, seed) for choice in choices for seed in group.seeds]


def _chain_name(group: Group, choice: tuple[Any, ...], seed: int) -> str:
    parts = [group.name, *(f"{c:g}" if isinstance(c, float) else str(c) for c in choice), f"s{seed}"]
    return "-".join(parts)


def _melt_chain(
    group: MeltGroup, choice: tuple[Any, ...], seed: int, calculator: Any, rng: np.random.Generator
) -> Iterator[Atoms]:
    from mlsim.melt_quench.pack import pack

    formula, density = choice
    composition = Composition.parse(formula)
    n_atoms = composition.nearest_atom_number(group.n_atoms)
    atoms = pack(composition, n_atoms, density_g_cm3=density, seed=int(rng.integers(2**31)))
    atoms.calc = calculator
    yield from _relaxation(atoms, group.relaxation_frames)
    offset = group.temperature_offset_K * (seed - np.mean(group.seeds))
    steps = max(1, round(1000 * group.ps_each / group.timestep_fs / group.frames_each))
    thermalize_momenta(atoms, temperature_K=group.temperatures_K[0], rng=rng)
    for temperature in group.temperatures_K:
        dynamics = Langevin(
            atoms,
            group.timestep_fs * units.fs,
            temperature_K=temperature + offset,
            friction=0.02 / units.fs,
            fixcm=False,
            rng=rng,
        )
        for _ in range(group.frames_each):
            dynamics.run(steps)
            energy = float(atoms.get_potential_energy())
            yield _bare(atoms, temperature_K=float(temperature + offset), sampler_energy_eV=energy)


def _relaxation(atoms: Atoms, frames: int) -> Iterator[Atoms]:
    """Relax at fixed cell; yield the packing itself and frames spread over the steep part of the way down."""
    if frames:
        yield _bare(atoms, stage="packing")
    optimiser = FIRE(atoms, logfile=None, maxstep=0.1)
    for part in range(1, max(frames, 1)):
        optimiser.run(fmax=0.3, steps=4 * part)
        yield _bare(atoms, stage="relaxation")
    optimiser.run(fmax=0.5, steps=30)


def _crystal_chain(group: CrystalGroup, name: str, calculator: Any, rng: np.random.Generator) -> Iterator[Atoms]:
    atoms = crystal_cell(name)
    atoms.calc = calculator
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.03, steps=200)
    base = supercell_near(_bare(atoms), group.n_atoms)
    yield _bare(base, rattle_A=0.0)
    for index in range(group.frames):
        # half of the frames strain the cell alone in volume, half shear it too; rattling grows from frame to frame
        strain = np.eye(3) * rng.uniform(-1, 1) * group.largest_strain
        if index % 2:
            shear = rng.uniform(-1, 1, (3, 3)) * group.largest_strain / 2
            strain += (shear + shear.T) / 2
        frame = _bare(base)
        frame.set_cell(base.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
        rattle = group.largest_rattle_A * (index + 1) / group.frames
        frame.positions += rng.normal(0, rattle / np.sqrt(3), frame.positions.shape)
        frame.info["rattle_A"] = round(rattle, 4)
        yield frame


def _volume_chain(group: VolumeGroup, name: str, calculator: Any) -> Iterator[Atoms]:
    crystal = crystal_cell(name)
    crystal.calc = calculator
    FIRE(FrechetCellFilter(crystal), logfile=None).run(fmax=2e-3, steps=1000)
    for strain in np.linspace(-group.largest_strain, group.largest_strain, group.frames):
        atoms = crystal.copy()
        atoms.set_cell(crystal.cell[:] * (1 + strain), scale_atoms=True)
        atoms.calc = calculator
        FIRE(atoms, logfile=None).run(fmax=2e-3, steps=500)
        yield _bare(atoms, crystal=name, linear_strain=round(float(strain), 6))


def _contact_chain(group: ContactGroup, parents: Sequence[Atoms], rng: np.random.Generator) -> Iterator[Atoms]:
    for pair, usual in FIRST_SHELL_A.items():
        made = 0
        for attempt in range(20 * group.frames_per_pair):
            if made == group.frames_per_pair:
                break
            fraction = group.fractions[(made + attempt) % len(group.fractions)]
            shoved = shoved_pair(parents[int(rng.integers(len(parents)))], *pair, fraction * usual, rng)
            if shoved is not None:
                made += 1
                yield shoved


def _core_chain(group: CoreGroup, parents: Sequence[Atoms], rng: np.random.Generator) -> Iterator[Atoms]:
    for pair, usual in FIRST_SHELL_A.items():
        trusted = group.trusted_fraction * usual
        parent = parents[int(rng.integers(len(parents)))]
        vacuum = Atoms(pair, positions=[(0, 0, 0), (trusted, 0, 0)], cell=[12.0] * 3, pbc=True)
        state = rng.bit_generator.state
        for distance in np.linspace(group.closest_A, 0.9 * trusted, group.distances):
            for start in (parent, vacuum):
                rng.bit_generator.state = state  # the same pair of the parent at every distance
                shoved = shoved_pair(start, *pair, float(distance), rng)
                if shoved is not None:
                    shoved.info["trusted_A"] = trusted
                    yield shoved


def closest_fractions(atoms: Atoms) -> dict[tuple[str, str], float]:
    """Return, for each pair of elements present, shortest distance / usual first-shell distance."""
    pairs = neighbour_pairs(atoms.positions, atoms.cell[:], 5.0)
    symbols: NDArray[np.str_] = np.array(atoms.get_chemical_symbols())
    closest: dict[tuple[str, str], float] = {}
    for (a, b), usual in FIRST_SHELL_A.items():
        fits = (symbols[pairs.first] == a) & (symbols[pairs.second] == b)
        if fits.any():
            closest[(a, b)] = float(pairs.distances[fits].min()) / usual
    return closest


def _bare(atoms: Atoms, **info: Any) -> Atoms:
    frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell[:], pbc=True)
    frame.wrap()
    frame.info.update(info)
    return frame
