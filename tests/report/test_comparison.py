"""The verdict of a comparison follows Student's t, and the paragraph on top says what the numbers say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mlsim.curve import Estimate, estimate_over
from mlsim.io.results import Provenance, QuantityRow, Reference, Result
from mlsim.io.series import ArrheniusPart, ArrheniusPoint, Line, ReportSeries
from mlsim.report.comparison import Comparison, compared, comparisons, summary, without_error_note
from mlsim.report.differences import critical_difference
from mlsim.report.words import ratio_errors


def _row(value: float, error: float | None, n: int, reference: Reference | None) -> QuantityRow:
    return QuantityRow("zr_o_coordination", Estimate(value, error, n, "1"), "m", reference=reference)


def comparison_of(row: QuantityRow) -> Comparison:
    """A row that stands alone in its table."""
    return compared([row])[0]


@pytest.mark.parametrize("n", [2, 3, 6, 40])
def test_without_a_published_error_the_limit_is_students_t(n: int) -> None:
    assert critical_difference(0.2, n, 0.0) == pytest.approx(stats.t.ppf(0.975, n - 1))


def test_with_a_dominant_published_error_the_limit_is_that_of_the_normal_distribution() -> None:
    assert critical_difference(1e-6, 2, 1.0) == pytest.approx(stats.norm.ppf(0.975), rel=1e-4)


@pytest.mark.parametrize("arguments", [(0.0, 5, 0.0), (0.1, 1, 0.1), (math.nan, 5, 0.1)])
def test_without_an_error_of_ours_there_is_no_limit(arguments: tuple[float, int, float]) -> None:
    assert critical_difference(*arguments) is None


def test_equal_populations_are_said_to_differ_one_time_in_twenty() -> None:
    rng = np.random.default_rng(5)
    trials, differing = 4000, 0
    for _ in range(trials):
        estimate = estimate_over(rng.normal(2.5, 0.3, 3).tolist(), "1")
        comparison = comparison_of(QuantityRow("x", estimate, "m", reference=Reference(2.5, None, "s")))
        differing += comparison.verdict == "differs"
    assert differing / trials == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / trials))


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (_row(2.4, 0.1, 2, Reference(2.5, None, "s")), "compatible"),
        (_row(2.0, 0.1, 2, Reference(2.5, None, "s")), "undecided"),
        (_row(2.0, 0.1, 6, Reference(2.5, None, "s")), "differs"),
        (_row(2.0, None, 1, Reference(2.5, None, "s")), "no error"),
        (_row(2.0, 0.1, 1, Reference(2.5, None, "s")), "one glass"),
        (_row(2.0, 0.0, 3, Reference(2.5, None, "s")), "no error"),
        (_row(math.nan, None, 3, Reference(2.5, None, "s")), "no error"),
        (_row(2.0, 0.1, 6, None), ""),
    ],
)
def test_the_verdict_admits_what_few_glasses_cannot_decide(row: QuantityRow, verdict: str) -> None:
    assert comparison_of(row).verdict == verdict


def test_the_difference_is_in_combined_standard_errors() -> None:
    comparison = comparison_of(_row(2.0, 0.3, 6, Reference(2.5, 0.4, "s")))
    assert comparison.difference == pytest.approx(-1.0)
    assert not comparison.without_published_error


def test_a_skewed_number_is_judged_and_shown_as_a_logarithm() -> None:
    # ln 9.5 has the error s: the half of the interval 9.5 exp(-s) to 9.5 exp(s) is 9.5 sinh(s)
    s = 1.0
    row = QuantityRow(
        "conductivity_298K_mS_cm",
        Estimate(9.5, 9.5 * math.sinh(s), 6, "mS/cm"),
        "m",
        reference=Reference(1.35, None, "s"),
    )
    shown = comparison_of(row)
    assert shown.difference == pytest.approx(math.log(9.5 / 1.35) / s)
    assert shown.ours == "9.5 (3.5 to 26)"
    assert shown.probability == pytest.approx(2 * stats.t.sf(shown.difference, 5))


def test_many_rows_in_one_table_are_counted() -> None:
    one = _row(2.0, 0.17, 6, Reference(2.5, None, "s"))
    assert comparison_of(one).verdict == "differs"
    with_others = compared([one, *[_row(2.5, 0.1, 6, Reference(2.5, None, "s"))] * 9])
    assert with_others[0].verdict == "undecided"
    assert with_others[0].probability == pytest.approx(10 * (comparison_of(one).probability or 0.0))


def _result(*rows: QuantityRow) -> Result:
    return Result(rows, Provenance())


SERIES = ReportSeries(title="t", composition="Li3ZrCl4O1.5", preset="quick", n_glasses=6, n_atoms=114)


@pytest.mark.parametrize("error", [0.05, 0.5, 3.0])
def test_error_bars_on_a_logarithmic_axis_end_where_the_printed_interval_does(error: float) -> None:
    row = QuantityRow("li_diffusivity_cm2_s", Estimate(1.3, error, 4, "cm2/s"), "m")
    down, up = ratio_errors([row.estimate.value, 0.0], [error, error])
    assert row.interval_68 == pytest.approx((1.3 - down[0], 1.3 + up[0]))
    assert down[1] == up[1] == 0.0


def test_an_upper_bound_is_written_as_one() -> None:
    rows = [
        QuantityRow("li_diffusivity_cm2_s", Estimate(4e-7, None, 6, "cm2/s"), "upper bound (95 %), m", 600.0),
        QuantityRow("li_diffusivity_cm2_s", Estimate(2e-5, 1e-6, 6, "cm2/s"), "m", 900.0),
    ]
    ((group, shown),) = comparisons(_result(*rows), SERIES)
    assert group == "Transport"
    assert [row.ours for row in shown] == ["< 4 × 10⁻⁷", "(2.00 ± 0.10) × 10⁻⁵"]


def test_rows_come_in_the_groups_of_the_table() -> None:
    names = ["haven_ratio", "rw_x", "density_g_cm3", "cl_no_zr_fraction", "zr_zr_edge_fraction", "something"]
    rows = [QuantityRow(name, Estimate(1.0, 0.1, 3, "1"), "m") for name in names]
    groups = [group for group, _ in comparisons(_result(*rows), SERIES)]
    assert groups == ["Structure", "Zr–Zr links", "Anion surroundings", "Transport", "Fit to data", "Other"]


def test_the_paragraph_is_made_from_the_numbers() -> None:
    rows = (
        QuantityRow("density_g_cm3", Estimate(2.0, 0.02, 6, "g/cm3"), "m"),
        _row(2.0, 0.1, 6, Reference(2.5, None, "EXAFS")),
        QuantityRow("zr_o_distance_A", Estimate(2.03, 0.01, 6, "Å"), "m"),
        QuantityRow(
            "conductivity_298K_mS_cm", Estimate(1.0, 0.5, 6, "mS/cm"), "m", reference=Reference(1.35, 0.07, "s")
        ),
        QuantityRow("activation_energy_eV", Estimate(0.3, 0.02, 6, "eV"), "m"),
    )
    assert summary(_result(*rows), SERIES).replace("\u00a0", " ") == (
        "At 298 K, Li conducts 1.0 (0.62 to 1.6) mS/cm (published: 1.35 ± 0.07), extrapolated assuming a Haven ratio "
        "of 1. The activation energy is 0.300 ± 0.020 eV. "
        "Six independent glasses of 114 atoms of Li3ZrCl4O1.5 were made (preset quick); "
        "the mass density is 2.000 ± 0.020 g/cm³. "
        "Zr has 2.00 ± 0.10 O neighbours at 2.030 ± 0.010 Å (published: 2.5). "
        "Two quantities have a published value: 1 compatible with it at 95 %, 1 different: O neighbours of Zr. "
        "That value was published without an error, so taken as exact. "
        "These errors are statistical; those of the potential, the size and the cooling rate come on top."
    )


def _conductivity(method: str = "Nernst-Einstein, extrapolated from 550 to 700 K; error: ...") -> QuantityRow:
    return QuantityRow("conductivity_298K_mS_cm", Estimate(3.0, 2.0, 4, "mS/cm"), method)


def _paragraph(*rows: QuantityRow, notes: tuple[str, ...] = ()) -> str:
    return summary(_result(*rows), SERIES.model_copy(update={"notes": notes})).replace("\u00a0", " ")


def test_the_answer_comes_first_with_its_95_percent_interval_from_the_rows_or_the_note() -> None:
    ends = {"low": 0.7, "high": 14.0}
    rows = [
        QuantityRow(f"conductivity_298K_95_{end}_mS_cm", Estimate(value, None, 4, "mS/cm"), "m")
        for end, value in ends.items()
    ]
    said = "At 298 K, Li conducts 3 mS/cm (0.7 to 14 at 95 %), extrapolated from 550–700 K assuming a Haven ratio of 1."
    assert _paragraph(_conductivity(), *rows).startswith(said)
    note = "conductivity at 298 K is extrapolated from 550 to 700 K (x): between 0.7 and 14 mS/cm with 95 % probability"
    assert _paragraph(_conductivity(), notes=(note,)).startswith(said)


def test_the_interval_of_a_study_is_where_its_line_ends() -> None:
    """In the series of a study the interval is data; of an older one the note is read, as above."""
    line = ArrheniusPart(
        points=(),
        line=Line(x=(600.0, 298.0), y=(1e-6, 2e-9)),
        line_low_95=(9e-7, 5e-10),
        line_high_95=(2e-6, 8e-9),
    )
    series = SERIES.model_copy(update={"arrhenius": line})
    said = summary(_result(_conductivity()), series).replace("\u00a0", " ")
    assert "Li conducts 3 mS/cm (0.75 to 12 at 95 %)" in said


def test_a_published_value_outside_the_interval_may_be_undecided_and_it_is_said_why() -> None:
    ends = {"low": 2.4, "high": 19.0}
    rows = [
        QuantityRow(f"conductivity_298K_95_{end}_mS_cm", Estimate(value, None, 4, "mS/cm"), "m")
        for end, value in ends.items()
    ]
    ours = QuantityRow("conductivity_298K_mS_cm", Estimate(6.8, 3.9, 4, "mS/cm"), "m")
    text = _paragraph(replace(ours, reference=Reference(1.35, 0.07, "impedance")), *rows)
    assert "outside the interval, which takes the errors of the points as known, yet undecided" in text
    assert "n = 4 glasses by Student's t" in text
    inside = _paragraph(replace(ours, reference=Reference(4.0, 0.07, "impedance")), *rows)
    far = _paragraph(replace(ours, reference=Reference(1e-6, 1e-9, "impedance")), *rows)
    assert "Student" not in inside + far


def _haven_rows(*ratios: tuple[float, float], n: int = 4) -> list[QuantityRow]:
    return [QuantityRow("haven_ratio", Estimate(value, 0.1, n, "1"), "m", kelvin) for kelvin, value in ratios]


def test_the_haven_ratio_says_what_impedance_would_see_if_it_held() -> None:
    haven = _haven_rows((550.0, 0.5), (700.0, 0.6), (775.0, 0.3))
    said = "impedance would see about 10 mS/cm)"
    assert f"(0.30 ± 0.10 at 775 K; if it held at 298 K, {said}" in _paragraph(_conductivity(), *haven)
    points = [
        ArrheniusPoint(temperature_K=row.temperature_K, diffusivity_cm2_s=1e-6, used=row.temperature_K != 775)
        for row in haven
    ]
    series = SERIES.model_copy(update={"arrhenius": ArrheniusPart(points=tuple(points))})
    text = summary(_result(_conductivity(), *haven), series).replace("\u00a0", " ")
    said = "(0.557 ± 0.071 at 550–700 K; if it held at 298 K, impedance would see about 5.4 mS/cm)"
    assert said in text  # the mean over the line, 1/error² as weights


def test_a_haven_ratio_that_one_is_compatible_with_changes_nothing() -> None:
    said = "(0.77 ± 0.10 at 600 K, compatible with it at 95 %)"  # by Student's t, ± 0.32
    assert said in _paragraph(_conductivity(), *_haven_rows((600.0, 0.77)))
    alone = _paragraph(_conductivity(), *_haven_rows((600.0, 0.5), n=1))
    assert "at 600 K, its error not known)" in alone and "impedance" not in alone


def test_a_haven_ratio_of_the_liquid_is_the_last_choice_and_said() -> None:
    liquid = ArrheniusPoint(temperature_K=800, diffusivity_cm2_s=1e-6, used=False, note="Cl diffuses as well: liquid")
    series = SERIES.model_copy(update={"arrhenius": ArrheniusPart(points=(liquid,))})
    both = _haven_rows((600.0, 0.5), (800.0, 0.4))
    text = summary(_result(_conductivity(), *both), series).replace("\u00a0", " ")
    assert "0.50 ± 0.10 at 600 K" in text and "liquid" not in text
    text = summary(_result(_conductivity(), both[1]), series).replace("\u00a0", " ")
    assert "0.40 ± 0.10 at 800 K, in the liquid; if it held" in text


def test_values_published_without_an_error_are_counted_where_ours_differ() -> None:
    exact = _row(2.0, 0.1, 6, Reference(2.6, None, "EXAFS fit"))
    known = replace(_row(2.0, 0.1, 6, Reference(2.9, 0.01, "EXAFS fit")), name="zr_cl_coordination")
    text = _paragraph(exact, known)
    assert "2 different: Cl neighbours of Zr; O neighbours of Zr. One of these values was published without" in text
    note = without_error_note(compared([exact, known]))
    assert note.startswith("published without an error (1 of 2 values)")
    assert note.endswith(" EXAFS is commonly good for coordination numbers to 10 to 20 %.")
    peak = QuantityRow("zr_o_peak_A", Estimate(2.0, 0.004, 4, "A"), "m", reference=Reference(2.07, None, "EXAFS fit"))
    both = without_error_note(compared([exact, peak]))
    assert both.endswith("good for coordination numbers to 10 to 20 % and distances to 0.01 to 0.02 Å.")
    assert without_error_note(compared([known])) == ""


def test_quantities_that_differ_can_be_counted_though_their_names_hold_commas() -> None:
    corner = replace(_row(0.1, 0.01, 6, Reference(0.6, None, "RMC")), name="zr_zr_corner_cl_fraction")
    shell = replace(_row(2.0, 0.1, 6, Reference(2.9, None, "EXAFS fit")), name="zr_cl_coordination")
    text = _paragraph(corner, shell)
    assert "2 different: Zr–Zr links: corner, through one Cl; Cl neighbours of Zr. Both of these were" in text


def test_the_paragraph_says_why_there_is_no_conductivity() -> None:
    series = SERIES.model_copy(update={"missing": {"arrhenius": "two temperatures at least"}})
    assert "No conductivity was determined: two temperatures at least." in summary(_result(), series)


def test_the_paragraph_names_the_ion_and_the_centre_of_the_run() -> None:
    rows = [
        _conductivity(),
        QuantityRow("al_cl_coordination", Estimate(4.0, 0.1, 4, "1"), "m"),
        QuantityRow("al_al_corner_cl_fraction", Estimate(0.4, 0.1, 4, "1"), "m"),
    ]
    topology = {"mobile": "Na", "center": "Al", "bridging": ["Cl"]}
    series = ReportSeries(title="t", composition="NaAlCl4", preset="quick", settings={"topology": topology})
    text = summary(_result(*rows), series).replace("\u00a0", " ")
    assert text.startswith("At 298 K, Na conducts 3.0 ") and "Al has 4.00 ± 0.10 Cl neighbours." in text
    groups = comparisons(_result(*rows), series)
    assert [group for group, _ in groups] == ["Structure", "Al–Al links", "Transport"]
    assert "Li " not in text and "Zr" not in text + str([row.label for _, found in groups for row in found])
