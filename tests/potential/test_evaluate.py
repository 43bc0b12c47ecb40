"""Errors by class, and the model card that shows them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mlsim.potential.card import Evaluation, model_card
from mlsim.potential.committee import Calibration
from mlsim.potential.evaluate import class_errors, class_of, shortest_repulsion
from mlsim.potential.stability import MeltCheck


def labelled(error_eV_A: float, **info: object) -> Atoms:
    atoms = Atoms("LiCl", positions=[(0, 0, 0), (1.3, 0, 0)], cell=[8, 8, 8], pbc=True, info=info)
    exact = atoms.copy()
    exact.calc = LennardJones()
    forces = exact.get_forces() + error_eV_A
    energy = exact.get_potential_energy() + 2 * error_eV_A
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=exact.get_stress())
    return atoms


def test_the_errors_of_a_class_are_root_mean_squares_over_its_frames() -> None:
    frames = [labelled(e, kind="melt", temperature_K=2000) for e in (0.3, -0.4)]
    (row,) = class_errors(LennardJones(), frames)
    assert row.name == "hot melt, small cell"
    assert (row.n_frames, row.n_atoms) == (2, 4)
    assert row.forces_eV_A == pytest.approx(np.sqrt((0.09 + 0.16) / 2))
    assert row.energy_meV == pytest.approx(1e3 * np.sqrt((0.09 + 0.16) / 2))
    assert row.stress_GPa == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({"kind": "contact"}, "contact"),
        ({"kind": "melt", "stage": "packing"}, "packing"),
        ({"kind": "melt", "temperature_K": 600.0}, "cool melt, small cell"),
        ({"kind": "crystal"}, "crystal"),
    ],
)
def test_a_frame_belongs_to_the_class_of_its_history(info: dict[str, object], name: str) -> None:
    assert class_of(Atoms("LiCl", info=info)) == name


def test_a_pair_that_attracts_at_short_range_is_found() -> None:
    assert min(shortest_repulsion(LennardJones(sigma=2.0), ("Li", "Cl")).values()) > 0
    assert min(shortest_repulsion(LennardJones(sigma=0.6, epsilon=1), ("Li", "Cl")).values()) < 0


def test_a_melt_holds_only_with_its_pairs_apart_and_its_temperature_kept() -> None:
    def melt(closest: float, temperature: float) -> MeltCheck:
        return MeltCheck("LiCl", 1500.0, 20.0, 1, {("Cl", "Li"): closest}, temperature)

    assert melt(0.7, 1490).holds
    assert not melt(0.4, 1490).holds
    assert not melt(0.7, 2000).holds


def test_the_card_shows_the_command_and_every_number_beside_the_teachers() -> None:
    rows = class_errors(LennardJones(), [labelled(0.3, kind="crystal")])
    melts = [MeltCheck("LiCl", 1500.0, 20.0, 1, {("Cl", "Li"): 0.71}, 1490.0)]
    found = Evaluation(
        errors={"test": rows},
        lattice={"LiCl": (5.1, 5.0)},
        repulsion={("Cl", "Li"): 3.2},
        melts=melts,
        committee=Calibration(0.61, 2.0, 0.25, 0.7, 200, 3906),
        left_out=["relaxed ZrCl4: not relaxed"],
    )
    card = model_card("p", "mlsim potential evaluate p", found, [("Parity", "p.png")], ["## Trade-off\n\nmine\n"])
    assert "rank correlation of deviation and force error 0.61, root mean square of error / of deviation 2.0;" in card
    assert "- relaxed ZrCl4: not relaxed" in card
    assert "\n## Trade-off\n\nmine\n" in card
    assert "![Parity](p.png)" in card
    assert "    mlsim potential evaluate p\n" in card
    assert "| crystal | 1 | 2 | 300.0 / 300.0 | 0.300 / 0.300 |" in card
    assert "| LiCl | 5.100 | 5.000 | +2.00 % |" in card
    assert "| Cl–Li | 3.20 |" in card
    assert "| LiCl 1500 K | 20 | 1 | 1490 | 0.71 | yes |" in card
