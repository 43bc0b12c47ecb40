"""Differences of two results are judged by Welch's t, corrected for their number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlsim.curve import Estimate, estimate_over
from mlsim.errors import DataError
from mlsim.io.published import PublishedSample, PublishedSource, PublishedValue
from mlsim.io.results import Provenance, QuantityRow, Result
from mlsim.report.differences import differences, holm, published_result, welch_probability


def _result(**values: Estimate) -> Result:
    return Result(tuple(QuantityRow(name, estimate, "m") for name, estimate in values.items()), Provenance())


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 7), (20, 4)])
def test_the_probability_is_that_of_scipys_welch_test(n_a: int, n_b: int) -> None:
    rng = np.random.default_rng(n_a)
    a, b = rng.normal(0, 1, n_a), rng.normal(1, 3, n_b)
    errors = [x.std(ddof=1) / math.sqrt(len(x)) for x in (a, b)]
    ours = welch_probability(b.mean() - a.mean(), errors[0], n_a, errors[1], n_b)
    assert ours == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-9)


def test_a_well_known_error_makes_the_test_that_of_one_sample() -> None:
    sample = np.random.default_rng(2).normal(0.5, 1, 6)
    error = sample.std(ddof=1) / math.sqrt(6)
    ours = welch_probability(sample.mean(), error, 6, 0.0, 0)
    assert ours == pytest.approx(stats.ttest_1samp(sample, 0.0).pvalue, rel=1e-9)


@pytest.mark.parametrize("size", [1, 2, 5, 11])
def test_holm_agrees_with_its_definition_step_by_step(size: int) -> None:
    given = np.random.default_rng(size).random(size) ** 2
    expected = np.zeros(size)
    running = 0.0
    for k, index in enumerate(sorted(range(size), key=lambda i: given[i])):
        running = max(running, (size - k) * given[index])
        expected[index] = min(1.0, running)
    assert holm(given.tolist()) == pytest.approx(expected)


def test_equal_studies_are_said_to_differ_anywhere_one_time_in_twenty_at_most() -> None:
    rng = np.random.default_rng(3)
    trials, wrong = 400, 0
    for _ in range(trials):
        pair = [
            _result(**{f"q{k}": estimate_over(rng.normal(2, 0.3, 4).tolist(), "1") for k in range(10)})
            for _ in range(2)
        ]
        wrong += any(one.verdict == "differs" for one in differences(*pair))
    assert wrong / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_a_large_difference_is_seen_and_changes_its_sign_with_the_order() -> None:
    a, b = _result(x=Estimate(1.0, 0.1, 5, "1")), _result(x=Estimate(2.0, 0.1, 5, "1"))
    there, back = differences(a, b)[0], differences(b, a)[0]
    assert there.verdict == back.verdict == "differs"
    assert there.estimate is not None and back.estimate is not None
    assert there.estimate.value == pytest.approx(1.0) == -back.estimate.value
    assert there.estimate.standard_error == pytest.approx(0.1 * math.sqrt(2))


def test_conductivities_are_compared_as_logarithms() -> None:
    a = _result(conductivity_298K_mS_cm=Estimate(1.0, 0.5, 4, "mS/cm"))
    b = _result(conductivity_298K_mS_cm=Estimate(10.0, 5.0, 4, "mS/cm"))
    estimate = differences(a, b)[0].estimate
    assert estimate is not None and estimate.unit == "ln"
    assert estimate.value == pytest.approx(math.log(10))
    assert estimate.standard_error == pytest.approx(math.sqrt(2) * math.asinh(0.5))


@pytest.mark.parametrize(
    "other",
    [
        QuantityRow("x", Estimate(2.0, None, 4, "1"), "m"),
        QuantityRow("x", Estimate(2.0, 0.1, 1, "1"), "m"),
        QuantityRow("x", Estimate(math.nan, None, 4, "1"), "m"),
        QuantityRow("x", Estimate(2.0, 0.1, 4, "1"), "upper bound (95 %), not diffusive"),
    ],
)
def test_what_cannot_be_tested_is_said_to_be_untested(other: QuantityRow) -> None:
    found = differences(_result(x=Estimate(1.0, 0.1, 5, "1")), Result((other,), Provenance()))
    assert found[0].verdict == "not tested"


def test_other_units_and_nothing_in_common_are_refused() -> None:
    a = _result(x=Estimate(1.0, 0.1, 5, "g/cm3"))
    with pytest.raises(DataError, match=r"^x: in g/cm3 in one result, in kg/m3 in the other; give both"):
        differences(a, _result(x=Estimate(1.0, 0.1, 5, "kg/m3")))
    with pytest.raises(DataError, match="no quantity in common"):
        differences(a, _result(y=Estimate(1.0, 0.1, 5, "1")))


def test_published_values_stand_beside_a_study_with_their_error_as_well_known() -> None:
    ours = _result(activation_energy_eV=Estimate(0.25, 0.01, 4, "eV"), density_g_cm3=Estimate(2.0, 0.1, 4, "g/cm3"))
    value = PublishedValue(
        name="activation_energy_eV", value=0.294, standard_error=0.003, unit="eV", method="impedance"
    )
    source = PublishedSource(citation="c", doi="10.1021/jacs.3c07343")
    theirs = published_result(PublishedSample(formula="Li3ZrCl4O1.5", source=source, quantities=(value,)), ours)
    (found,) = differences(ours, theirs)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(0.044) and found.estimate.n_independent == 4
    assert found.probability == pytest.approx(welch_probability(0.044, 0.01, 4, 0.003, 0))


def _shifted(count: int, errors: float, shift: float, name: str = "glass_{}_coordination") -> list[Result]:
    """Return two results of equal structure, as many as asked, and one fraction of links that differs by a shift."""
    same = [QuantityRow(name.format("abcdefghij"[k]), Estimate(2.0, 0.1, 4, "1"), "m") for k in range(count)]
    return [
        Result((*same, QuantityRow("zr_zr_edge_fraction", Estimate(value, errors, 4, "1"), "m")), Provenance())
        for value in (0.2, 0.2 + shift)
    ]


def test_quantities_that_answer_another_question_take_nothing_from_a_difference() -> None:
    found = differences(*_shifted(10, 0.01, 0.05))
    edge = found[-1]
    assert (edge.group, edge.n_compared, edge.verdict) == ("Zr–Zr links", 1, "differs")
    assert edge.probability == edge.corrected is not None
    assert edge.corrected * 11 > 0.05  # among all eleven it would not have been seen
    assert {one.n_compared for one in found[:-1]} == {10}


def test_a_difference_that_its_family_undoes_says_how_many_there_were() -> None:
    found = differences(*_shifted(10, 0.01, 0.05, "zr_{}_coordination"))[:-1]
    assert {one.words for one in found} == {"no difference seen"}
    rows = [QuantityRow(f"zr_{x}_coordination", Estimate(2.0, 0.1, 4, "1"), "m") for x in "abcdefghij"]
    moved = QuantityRow("zr_a_coordination", Estimate(2.5, 0.1, 4, "1"), "m")
    one = differences(Result(tuple(rows), Provenance()), Result((moved, *rows[1:]), Provenance()))[0]
    assert one.probability is not None and one.probability < 0.05 < (one.corrected or 0.0)
    assert (one.verdict, one.words) == ("not significant", "not significant after 10 comparisons")


def test_numbers_at_temperatures_are_a_family_of_their_own() -> None:
    energy = QuantityRow("activation_energy_eV", Estimate(0.3, 0.01, 4, "eV"), "m")
    hops = [QuantityRow("haven_ratio", Estimate(0.5, 0.1, 4, "1"), "m", kelvin) for kelvin in (500.0, 600.0, 700.0)]
    found = differences(*(Result((energy, *hops), Provenance()) for _ in range(2)))
    assert [one.n_compared for one in found] == [1, 3, 3, 3]


def test_published_values_are_one_family_and_one_without_an_error_is_marked() -> None:
    ours = _result(
        zr_o_coordination=Estimate(2.1, 0.05, 4, "1"),
        cl_terminal_fraction=Estimate(0.4, 0.05, 4, "1"),
        activation_energy_eV=Estimate(0.29, 0.01, 4, "eV"),
    )
    values = [("zr_o_coordination", 2.5, None, "1"), ("cl_terminal_fraction", 0.4, None, "1")]
    values.append(("activation_energy_eV", 0.294, 0.003, "eV"))  # type: ignore[arg-type]
    quantities = tuple(
        PublishedValue(name=name, value=value, standard_error=error, unit=unit, method="m")
        for name, value, error, unit in values
    )
    source = PublishedSource(citation="c", doi="10.1021/jacs.3c07343")
    sample = PublishedSample(formula="Li3ZrCl4O1.5", source=source, quantities=quantities)
    oxygen, terminal, energy = differences(ours, published_result(sample, ours))
    assert {one.n_compared for one in (oxygen, terminal, energy)} == {3}
    assert oxygen.words == "differs (our error alone)"
    assert terminal.words == "no difference seen (our error alone)"
    assert energy.words == "no difference seen" and not energy.without_published_error
