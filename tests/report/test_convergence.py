"""The line on convergence says what the numbers and notes of a run say, in the words that the analyses write."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from mlsim.curve import Estimate
from mlsim.io.results import Provenance, QuantityRow, Result
from mlsim.io.series import ArrheniusPart, ArrheniusPoint, CommitteePart, MsdPart, ReportSeries
from mlsim.melt_quench.memory import ElementMemory
from mlsim.report.committee_chart import committee_in_words
from mlsim.report.convergence import convergence
from mlsim.study import transport_part
from mlsim.study.structure_part import glass_notes
from mlsim.transport import FitWindow

MEMORY = (
    "distance moved in the melt and overlap with the packing (0 when forgotten): Cl 5.2 Å, 0.02 ± 0.02; "
    "Zr 3.5 Å, 0.11 ± 0.02 (remembers: melt longer or hotter)"
)


def _series(*points: ArrheniusPoint, notes: tuple[str, ...] = (), n: int = 4) -> ReportSeries:
    line = ArrheniusPart(points=points) if points else None
    return ReportSeries(title="t", composition="LiCl", preset="", n_glasses=n, notes=notes, arrhenius=line)


def _point(kelvin: float, **more: Any) -> ArrheniusPoint:
    return ArrheniusPoint(temperature_K=kelvin, diffusivity_cm2_s=1e-6, **more)


def _rows(**exponents: float) -> list[QuantityRow]:
    return [
        QuantityRow(
            "li_diffusivity_cm2_s",
            Estimate(1e-6, 1e-7, 4, "cm2/s"),
            f"diffusive: fitted from 7 to 30 ps (MSD ~ t^{exponent:.2f}, from 8 Å²)",
            float(kelvin.removeprefix("at_")),
        )
        for kelvin, exponent in exponents.items()
    ]


def _said(rows: list[QuantityRow], series: ReportSeries) -> tuple[str, str]:
    """Return what has converged, and what has not."""
    found = dict(convergence(Result(tuple(rows), Provenance(mlsim="", versions={})), series))
    assert set(found) <= {"Converged", "Not converged"}
    return found.get("Converged", ""), found.get("Not converged", "")


def test_a_displacement_below_the_power_of_one_has_not_converged() -> None:
    series = _series(_point(550), _point(625), _point(700), _point(775, used=False))
    good, bad = _said(_rows(at_550=0.81, at_625=0.97, at_700=0.85, at_775=0.5), series)
    assert "the displacement of Li grows with time to the power of 0.97 (625 K)" in good
    assert "the displacement of Li grows with time to the power of 0.81 to 0.85, not 1 (550 and 700 K)" in bad
    assert "775" not in good + bad  # it is not in the line


def test_an_exponent_is_judged_as_the_caveat_judges_it_not_as_it_is_printed() -> None:
    slopes = {500.0: 0.896, 600.0: 1.1, 700.0: 1.12}
    good, bad = _said(_rows(at_500=0.90), _series(*(_point(t, log_slope=b) for t, b in slopes.items())))
    assert "to the power of 1.10 (600 K)" in good
    assert "0.90 to 1.12, not 1 (500 and 700 K)" in bad
    for slope in slopes.values():
        assert FitWindow(1.0, 4.0, slope, 5.0).proportional is (slope == 1.1)


def test_the_framework_is_judged_by_the_points_where_they_say_it() -> None:
    states = {500.0: "rests", 600.0: "undecided", 700.0: "flows"}
    good, bad = _said([], _series(*(_point(t, framework=state) for t, state in states.items())))
    assert good == "the framework rests (500 K)"
    assert "whether the framework flows too (600 K)" in bad and "so this is a liquid (700 K)" in bad


def test_the_pace_of_the_framework_is_said_beside_the_ion() -> None:
    series = _series(
        _point(550, framework="undecided", fastest="Cl", fastest_over_ion=0.12, fastest_is_bound=True),
        _point(625, framework="undecided", fastest="O", fastest_over_ion=0.174, fastest_is_bound=True),
        _point(700, framework="flows", fastest="Cl", fastest_over_ion=0.2, fastest_is_bound=False),
    )
    _, bad = _said([], series)
    assert "whether the framework flows too (550 and 625 K), Cl and O up to 17 % as fast as Li" in bad
    assert "the framework flows, so this is a liquid (700 K), Cl 20 % as fast as Li" in bad


def test_a_committee_that_often_disagrees_beyond_its_limit_is_open() -> None:
    parts = [
        CommitteePart(temperature_K=t, percentiles_eV_A=tuple(np.linspace(0, top, 101).tolist()))
        for t, top in ((450.0, 0.16), (700.0, 0.3))
    ]
    series = _series(_point(450), _point(700)).model_copy(update={"committee_md": tuple(parts)})
    assert [round(part.share_above(0.15), 2) for part in parts] == [0.06, 0.49]
    result = Result((), Provenance(mlsim="", versions={}))
    words = "its committee is above its warning limit in 6 to 49 % of the steps"
    assert words in dict(convergence(result, series, 0.15))["Potential"]
    cold = series.model_copy(update={"arrhenius": ArrheniusPart(points=(_point(450), _point(700, used=False)))})
    assert "in 6 % of the steps" in dict(convergence(result, cold, 0.15))["Potential"]  # of the line only
    assert "Potential" not in dict(convergence(result, series, 0.31)) | dict(convergence(result, series, None))
    said = committee_in_words(parts, (0.15, 0.5))
    assert "was 0.3 eV/Å, at 700 K; 6 % and 49 % of the steps at 450 and 700 K were above the warning limit" in said
    assert committee_in_words(parts, (0.4, 0.5)).endswith("at 700 K, below the warning limit of 0.4 eV/Å.")
    assert committee_in_words([], (0.15, 0.5)) == ""


def test_an_energy_that_may_still_be_settling_is_open() -> None:
    shares = {450.0: {"glass-1": 0.1, "glass-4": 0.5}, 525.0: {"glass-4": 0.21}, 700.0: {"glass-1": 0.5}}
    curves = tuple(
        MsdPart(temperature_K=t, lag_ps=(1.0,), msd_A2=(1.0,), settling=settling) for t, settling in shares.items()
    )
    series = _series(_point(450), _point(525), _point(700, used=False)).model_copy(update={"msd": curves})
    good, bad = _said([], series)
    assert "the potential energy has settled (525 K, after 21 % of a run at most)" in good
    assert "the potential energy may still be settling at 450 K (over 50 % of glass-4 at least)" in bad
    assert "700" not in bad  # it is not in the line


def test_the_framework_rests_flows_or_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_part, "framework_undecided", lambda others, mobile: True)
    notes = transport_part._undecided({550.0: None, 625.0: None}, {550.0: (), 625.0: ()}, "Li")  # type: ignore[dict-item]
    moving = SimpleNamespace(label="Cl")
    series = _series(
        _point(550),
        _point(625),
        _point(700),
        _point(775, note=f"{moving.label} diffuses as well: liquid"),
        notes=(*notes,),
    )
    good, bad = _said([], series)
    assert "the framework rests (700 K)" in good
    assert "whether the framework flows too (550 and 625 K)" in bad
    assert "the framework flows, so this is a liquid (775 K)" in bad


@pytest.mark.parametrize(("n", "converged"), [(1, False), (3, False), (4, True)])
def test_a_glass_transition_counts_when_every_quench_shows_it(n: int, converged: bool) -> None:
    row = QuantityRow("glass_transition_K", Estimate(1100.0, 20.0, n, "K"), "kink of the energy of the quench")
    good, bad = _said([row], _series())
    assert (f"a kink in {n} of 4 quenches" in good) is converged
    assert (f"a kink in {n} of 4 quenches" in bad) is not converged


def _kink(kind: str, value: float, error: float, told: str = "4 of 4") -> QuantityRow:
    name = "glass_transition_K" if kind == "energy" else "glass_transition_by_volume_K"
    method = f"kink of the {kind} along the quench, in {told} glasses"
    return QuantityRow(name, Estimate(value, error, int(told[0]), "K"), method)


def test_a_glass_transition_on_which_glasses_or_energy_and_volume_disagree_is_open() -> None:
    good, bad = _said([_kink("energy", 1137, 115), _kink("volume", 664, 52)], _series())
    assert not good and "1137 ± 115 K by the energy" in bad and "664 ± 52 K by the volume" in bad
    assert not _said([_kink("energy", 1000, 60)], _series())[0]  # the glasses scatter
    assert not _said([_kink("energy", 1000, 20), _kink("volume", 900, 20)], _series())[0]
    good, bad = _said([_kink("energy", 1000, 20), _kink("volume", 980, 20)], _series())
    assert "1000 ± 20 K by the energy" in good and not bad
    none = "glass transition: no kink of the volume in 4 quenches; quench slower or longer"
    good, bad = _said([_kink("energy", 1000, 20)], _series(notes=(none,)))
    assert not good and "no kink of the volume" in bad


def test_quenches_are_counted_as_the_method_counts_them() -> None:
    row = _kink("energy", 1000, 20, "3 of 3")  # the structure run of the fourth has ended, its quench was not kept
    assert "a kink in 3 of 3 quenches" in _said([row], _series())[0]


def test_a_quench_without_a_kink_is_said() -> None:
    _, bad = _said(
        [], _series(notes=("glass transition: no kink of the energy in 4 quenches; quench slower or longer",))
    )
    assert "no quench shows a kink" in bad


def test_the_melt_remembers_some_elements() -> None:
    good, bad = _said([], _series(notes=(MEMORY,)))
    assert good == "the melt has forgotten the packing of Cl"
    assert bad == "the melt remembers the packing of Zr (overlap 0.11)"


def test_what_is_not_checked_is_not_called_converged() -> None:
    assert _said([], _series()) == ("", "")


def test_the_memory_note_is_written_as_it_is_read() -> None:
    memory = {"Zr": ElementMemory(3.5, 0.11, 0.02), "Ti": ElementMemory(5.0, 0.01, 0.02)}
    atoms = Atoms("ZrTi", positions=[(0, 0, 0), (5, 5, 5)], cell=[30] * 3, pbc=True)
    glass: Any = SimpleNamespace(
        atoms=atoms, log=SimpleNamespace(volume_A3=np.array([atoms.get_volume()])), melt_memory=memory
    )
    good, bad = _said([], _series(notes=tuple(glass_notes([glass], [[atoms]]))))
    assert "forgotten the packing of Ti" in good and "remembers the packing of Zr (overlap 0.11)" in bad
