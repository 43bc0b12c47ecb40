"""Small systems with known answers, and a recorder in memory."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from mlsim.geometry import neighbour_pairs


class PairLiquid(Calculator):
    """Shifted-force Lennard-Jones argon with two bad habits of real potentials.

    It keeps its list of pairs, in an order that depends on when it was made, and its first answer is a little off.
    """

    implemented_properties = ("energy", "forces", "stress")
    epsilon, sigma, cutoff, skin = 0.0104, 3.4, 6.0, 0.6

    def __init__(self) -> None:
        super().__init__()
        self.searches = 0
        self.calls = 0
        self._pairs: tuple[np.ndarray, ...] | None = None

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        fractional = atoms.positions @ np.linalg.inv(atoms.cell.array)
        if "numbers" in system_changes or self._moved(atoms, fractional):
            self._search(atoms, fractional)
        first, second, shifts = self._pairs[:3]
        vectors = atoms.positions[second] + shifts @ atoms.cell.array - atoms.positions[first]
        distances = np.linalg.norm(vectors, axis=1)
        inside = distances < self.cutoff
        first, vectors, distances = first[inside], vectors[inside], distances[inside]
        energy, slope = self._pair_terms(distances)
        forces = np.zeros((len(atoms), 3))
        pulls = (slope / distances)[:, None] * vectors
        np.add.at(forces, first, pulls)  # in the order of the list
        self.calls += 1
        if self.calls == 1:  # as TorchScript does
            forces *= 1 + 1e-9
        virial = 0.5 * pulls.T @ vectors / atoms.get_volume()
        self.results = {
            "energy": 0.5 * energy.sum(),
            "forces": forces,
            "stress": virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }

    def _pair_terms(self, r):
        def bare(r):
            x = (self.sigma / r) ** 6
            return 4 * self.epsilon * (x * x - x), -24 * self.epsilon * (2 * x * x - x) / r

        (u, du), (u_end, du_end) = bare(r), bare(self.cutoff)
        return u - u_end - (r - self.cutoff) * du_end, du - du_end

    def _moved(self, atoms, fractional):
        if self._pairs is None or len(fractional) != len(self._pairs[3]):
            return True
        shift = np.abs((fractional - self._pairs[3]) @ atoms.cell.array).max()
        strain = np.abs(atoms.cell.array - self._pairs[4]).max() / atoms.cell.array[0, 0]
        return shift > self.skin / 4 or strain > 0.01

    def _search(self, atoms, fractional):
        self.searches += 1
        pairs = neighbour_pairs(atoms.positions, atoms.cell.array, self.cutoff + self.skin)
        order = np.argsort(pairs.distances, kind="stable")  # depends on the positions of this very moment
        first, second = pairs.first[order], pairs.second[order]
        images = (pairs.vectors[order] - atoms.positions[second] + atoms.positions[first]) @ np.linalg.inv(
            atoms.cell.array
        )
        self._pairs = (first, second, np.round(images), fractional.copy(), atoms.cell.array.copy())


class Piston(Calculator):
    """No forces on atoms; energy B V0 (V/V0 − 1)² / 2 of the volume alone. B = 0 is the ideal gas."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, bulk_modulus_eV_A3: float = 0.0, volume_A3: float = 1.0) -> None:
        super().__init__()
        self.modulus, self.volume = bulk_modulus_eV_A3, volume_A3

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        strain = atoms.get_volume() / self.volume - 1
        diagonal = self.modulus * strain
        self.results = {
            "energy": 0.5 * self.modulus * self.volume * strain**2,
            "forces": np.zeros((len(atoms), 3)),
            "stress": np.array([diagonal] * 3 + [0.0] * 3),
        }


class Springs(Calculator):
    """Vector springs between neighbours of a simple cubic lattice: 3 (N − 1) harmonic modes, no other."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, start: Atoms, spacing: float, stiffness: float = 1.0) -> None:
        super().__init__()
        pairs = neighbour_pairs(start.positions, start.cell.array, 1.1 * spacing)
        self.first, self.second, self.rest = pairs.first, pairs.second, pairs.vectors
        self.shift = pairs.vectors - start.positions[pairs.second] + start.positions[pairs.first]
        self.stiffness = stiffness

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        stretch = atoms.positions[self.second] + self.shift - atoms.positions[self.first] - self.rest
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, self.first, self.stiffness * stretch)
        self.results = {"energy": 0.25 * self.stiffness * (stretch**2).sum(), "forces": forces, "stress": np.zeros(6)}


class ListRecorder:
    """Frames in memory; those after the last commit are lost with the process."""

    def __init__(self) -> None:
        self.durable: list = []
        self.pending: list = []

    def append(self, frame) -> None:
        self.pending.append(frame)

    def commit(self) -> int:
        self.durable += self.pending
        self.pending = []
        return len(self.durable)

    def rewind(self, n_frames: int) -> None:
        assert n_frames <= len(self.durable)
        self.pending = []
        del self.durable[n_frames:]


def argon(n_side: int = 2, lattice: float = 5.5) -> Atoms:
    """Fcc argon, 4 n³ atoms, every other one called krypton with argon's mass."""
    base = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cells = np.stack(np.meshgrid(*[np.arange(n_side)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    points = (cells + base).reshape(-1, 3) * lattice
    atoms = Atoms(["Ar", "Kr"] * (len(points) // 2), positions=points, cell=[n_side * lattice] * 3, pbc=True)
    atoms.set_masses(np.full(len(atoms), 39.948))
    return atoms
