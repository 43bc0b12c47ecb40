"""Two results side by side, and how significant each difference is.

Each number is a mean over few independent glasses, so a difference d is judged by Welch's t with the degrees of freedom
of Welch and Satterthwaite (B. L. Welch, Biometrika 34, 28 (1947), doi:10.1093/biomet/34.1-2.28):

    t = d / s,   s² = s_a² + s_b²,   freedom = s⁴ / [s_a⁴/(n_a − 1) + s_b⁴/(n_b − 1)]

A published value has no n: its error is taken as well known, and as zero where none was published. Diffusivities and
conductivities are skewed and compared as logarithms. Of twenty equal quantities one differs at 95 % by chance, so the
verdict uses probabilities corrected for the number of comparisons (S. Holm, Scand. J. Statist. 6, 65 (1979)).

That number counts the quantities that answer one question, a family: those of one group of the table (structure, links,
transport, ...), those that are given per temperature apart; and all that stand beside published values. Two full
results share about a hundred quantities, many of which say the same: counted as one family, four glasses on each side
show hardly any difference. In each family a difference is seen where there is none with a probability of 5 % at most;
in k families together with one of up to k times that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.io.published import PublishedSample
from mlsim.io.results import QuantityRow, Result
from mlsim.report.words import label_of

__all__ = [
    "CONFIDENCE",
    "WELL_KNOWN",
    "Difference",
    "critical_difference",
    "differences",
    "family_of",
    "has_no_published_error",
    "holm",
    "probability_of_difference",
    "probability_of_reference",
    "published_result",
    "welch_probability",
]

Verdict = Literal["differs", "not significant", "no difference seen", "not tested"]

CONFIDENCE: Final = 0.95
WELL_KNOWN: Final = 0
"""`n_independent` of a published value: its error does not come from our counting of runs."""


@dataclass(frozen=True)
class Difference:
    """One quantity in two results.

    Attributes
    ----------
    label, group
        Name in words, with its temperature; the group of the table in which it stands.
    first, second
        The rows that are compared.
    estimate
        Second − first in the unit of both; for skewed quantities ln(second/first), unit "ln". None where an error or a
        value is missing, or one of the two is only an upper bound.
    probability
        Chance of a difference at least as large if both were equal, for this quantity alone; None where not tested.
    corrected
        The same, corrected for the number of quantities in its family (Holm); None where not tested.
    n_compared
        Quantities that were tested in its family; 0 where there are none.
    """

    label: str
    group: str
    first: QuantityRow
    second: QuantityRow
    estimate: Estimate | None
    probability: float | None
    corrected: float | None
    n_compared: int

    @property
    def verdict(self) -> Verdict:
        """Whether the two differ at 95 %, its family counted; "not significant": a difference that holds alone only."""
        if self.probability is None or self.corrected is None:
            return "not tested"
        if self.corrected < 1 - CONFIDENCE:
            return "differs"
        return "not significant" if self.probability < 1 - CONFIDENCE else "no difference seen"

    @property
    def without_published_error(self) -> bool:
        """Whether one of the two was published without an error and is taken as exact."""
        return any(has_no_published_error(row) for row in (self.first, self.second))

    @property
    def words(self) -> str:
        """The verdict, the number of comparisons that undid a difference, and whether one error alone decides."""
        text: str = self.verdict
        if self.verdict == "not significant":
            text += f" after {self.n_compared} comparisons"
        alone = self.without_published_error and self.verdict != "not tested"
        return f"{text} (our error alone)" if alone else text


def differences(first: Result, second: Result) -> tuple[Difference, ...]:
    """Return what both results hold, in the order of the first.

    Parameters
    ----------
    first, second
        Results of studies; one may come from `published_result`.

    Raises
    ------
    DataError
        If the two have no quantity in common, or give one of them in different units.

    Notes
    -----
    Glasses of the two results are taken as independent. Two studies that start from the same packings (same seed and
    same numbers of atoms) are not: their differences are then better known than said here.
    """
    pairs = [(row, other) for row in first.rows if (other := second.row(row.name, row.temperature_K)) is not None]
    if not pairs:
        raise DataError("the two results have no quantity in common; nothing to compare")
    for row, other in pairs:
        if row.estimate.unit != other.estimate.unit:
            raise DataError(
                f"{row.name}: in {row.estimate.unit} in one result, in {other.estimate.unit} in the other; "
                "give both in the same unit"
            )
    tests = [_tested(row, other) for row, other in pairs]
    families: dict[str, list[int]] = {}
    for k, (row, other) in enumerate(pairs):
        families.setdefault(_family(row, other), []).append(k)
    found: dict[int, Difference] = {}
    for members in families.values():
        tested = [k for k in members if tests[k][1] is not None]
        corrected = dict(zip(tested, holm([tests[k][1] or 0.0 for k in tested]), strict=True))
        for k in members:
            label = label_of(pairs[k][0].name, pairs[k][0].temperature_K)
            found[k] = Difference(*label, *pairs[k], *tests[k], corrected.get(k), len(tested))
    return tuple(found[k] for k in range(len(pairs)))


def has_no_published_error(row: QuantityRow) -> bool:
    """Whether a row is a published value (see `published_result`) that was given without an error."""
    return row.estimate.n_independent == WELL_KNOWN and row.estimate.standard_error is None


def _family(first: QuantityRow, second: QuantityRow) -> str:
    """Return the family in which the comparison of two rows is corrected."""
    if WELL_KNOWN in (first.estimate.n_independent, second.estimate.n_independent):
        return "published values"
    return family_of(first)


def family_of(row: QuantityRow) -> str:
    """Return the family in which a row is compared with that of another run, in words.

    Examples
    --------
    >>> family_of(QuantityRow("haven_ratio", Estimate(0.5, 0.1, 4, "1"), "", 600.0))
    'Transport by temperature'
    """
    group = label_of(row.name)[1]
    return group if row.temperature_K is None else f"{group} by temperature"


def published_result(sample: PublishedSample, like: Result) -> Result:
    """Return published values as a result that `differences` takes; their errors count as well known.

    Parameters
    ----------
    sample
        What is published.
    like
        The result that they are to stand beside: units must agree, and its provenance is kept out of the comparison.
    """
    units = {row.name: row.estimate.unit for row in like.rows}
    rows = []
    for entry in sample.quantities:
        if units.get(entry.name, entry.unit) != entry.unit:
            raise DataError(
                f"{entry.name}: published in {entry.unit}, computed in {units[entry.name]}; they cannot be compared"
            )
        estimate = Estimate(entry.value, entry.standard_error, WELL_KNOWN, units.get(entry.name, entry.unit))
        rows.append(QuantityRow(entry.name, estimate, f"{entry.method}, doi:{sample.source.doi}"))
    return Result(tuple(rows), like.provenance)


def welch_probability(difference: float, error_a: float, n_a: int, error_b: float, n_b: int) -> float | None:
    """Return the two-sided probability of a difference at least this large between equal means.

    Parameters
    ----------
    difference
        Of the means.
    error_a, error_b
        Standard errors of the means.
    n_a, n_b
        Independent glasses behind each; 0 for an error that is well known.

    Returns
    -------
    float or None
        None where a mean rests on one glass, or neither has an error.

    Examples
    --------
    >>> round(welch_probability(0.2, 0.05, 4, 0.05, 4), 3), round(welch_probability(0.2, 0.1, 0, 0.0, 0), 3)
    (0.03, 0.046)
    >>> welch_probability(0.2, 0.05, 1, 0.05, 4) is None
    True
    """
    freedom = _freedom(error_a, n_a, error_b, n_b)
    if freedom is None:
        return None
    return float(min(1.0, 2 * stdtr(freedom, -abs(difference) / math.hypot(error_a, error_b))))


def critical_difference(error_a: float, n_a: int, error_b: float, n_b: int = WELL_KNOWN) -> float | None:
    """Return the difference in combined standard errors at which `welch_probability` is 5 %; None where it is.

    Examples
    --------
    >>> round(critical_difference(0.1, 2, 0.0), 1), round(critical_difference(0.1, 6, 0.0), 2)
    (12.7, 2.57)
    >>> round(critical_difference(0.001, 2, 0.1), 2)
    1.96
    """
    freedom = _freedom(error_a, n_a, error_b, n_b)
    return None if freedom is None else float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _freedom(error_a: float, n_a: int, error_b: float, n_b: int) -> float | None:
    """Return the degrees of freedom of a difference of two means, None where it has no error or rests on one glass."""
    total = error_a**2 + error_b**2
    if not (math.isfinite(total) and total > 0) or 1 in (n_a, n_b):
        return None
    spread = sum(e**4 / (n - 1) for e, n in ((error_a, n_a), (error_b, n_b)) if n > 1)
    return float(min(total**2 / spread, 1e9)) if spread > 0 else 1e9


def probability_of_difference(first: QuantityRow, second: QuantityRow) -> float | None:
    """Return the probability of a difference at least as large if both were equal; None where it cannot be tested."""
    return _tested(first, second)[1]


def probability_of_reference(row: QuantityRow) -> float | None:
    """Return the probability of a number at least this far from its reference, if both were equal; None where untested.

    The error of the reference is taken as well known; one that was given without is taken as exact.
    """
    if row.reference is None:
        return None
    other = Estimate(row.reference.value, row.reference.standard_error, WELL_KNOWN, row.estimate.unit)
    return _tested(QuantityRow(row.name, other, row.reference.source), row)[1]


def holm(probabilities: Sequence[float]) -> NDArray[np.float64]:
    """Return probabilities corrected for their number, in the order given: p_(k) → max over i ≤ k of (m − i + 1) p_(i).

    Examples
    --------
    >>> holm([0.01, 0.5, 0.02]).tolist()
    [0.03, 0.5, 0.04]
    """
    given = np.asarray(probabilities, dtype=float)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def _tested(first: QuantityRow, second: QuantityRow) -> tuple[Estimate | None, float | None]:
    """Return second − first (or the logarithm of their ratio) and its probability."""
    a, b = first.estimate, second.estimate
    if first.is_upper_bound or second.is_upper_bound or not (math.isfinite(a.value) and math.isfinite(b.value)):
        return None, None
    skewed = first.is_skewed or second.is_skewed
    if skewed and not (a.value > 0 and b.value > 0):
        return None, None
    error_a, error_b = (_error(estimate, skewed) for estimate in (a, b))
    if error_a is None or error_b is None:
        return None, None
    difference, unit = (math.log(b.value / a.value), "ln") if skewed else (b.value - a.value, a.unit)
    fewest = min((n for n in (a.n_independent, b.n_independent) if n != WELL_KNOWN), default=WELL_KNOWN)
    estimate = Estimate(difference, math.hypot(error_a, error_b), fewest, unit)
    return estimate, welch_probability(difference, error_a, a.n_independent, error_b, b.n_independent)


def _error(estimate: Estimate, skewed: bool) -> float | None:
    """Return the standard error, of the logarithm if skewed; zero for a published value that was given without one."""
    if estimate.standard_error is not None and math.isfinite(estimate.standard_error):
        return estimate.log_error if skewed else estimate.standard_error
    return 0.0 if estimate.n_independent == WELL_KNOWN else None
