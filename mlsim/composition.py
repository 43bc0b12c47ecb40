"""Composition of an ionic glass: formula, charge balance, and number density against mass density."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from ase.data import atomic_masses, atomic_numbers

from mlsim.errors import SettingsError, did_you_mean
from mlsim.units import G_CM3_PER_U_A3

__all__ = ["Composition", "oxyhalide_series"]

# Formal charges used for charge balance: the usual states in oxides, sulfides and halides.
FORMAL_CHARGES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("H", "Li", "Na", "K", "Rb", "Cs", "Ag"), (1,)),
        **dict.fromkeys(("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd"), (2,)),
        **dict.fromkeys(
            ("B", "Al", "Ga", "In", "Sc", "Y", "La", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Bi"), (3,)
        ),
        **dict.fromkeys(("Si", "Ge", "Sn", "Ti", "Zr", "Hf"), (4,)),
        **dict.fromkeys(("P", "Nb", "Ta"), (5,)),
        **dict.fromkeys(("Mo", "W"), (6,)),
        "Fe": (2, 3),
        "Ce": (3, 4),
        "Sb": (3, 5),
        "V": (4, 5),
        **dict.fromkeys(("F", "Cl", "Br", "I"), (-1,)),
        **dict.fromkeys(("O", "S", "Se", "Te"), (-2,)),
        "N": (-3,),
    }
)

_TOKEN = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?|\.\d+)?")
_LARGEST_DENOMINATOR = 1000


@dataclass(frozen=True)
class Composition:
    """Amounts of the elements in one formula unit, in the order in which the formula names them.

    Examples
    --------
    >>> glass = Composition.parse("Li3ZrCl4O1.5")
    >>> glass.counts(114)
    {'Li': 36, 'Zr': 12, 'Cl': 48, 'O': 18}
    >>> glass.formal_charges()
    {'Li': 1, 'Zr': 4, 'Cl': -1, 'O': -2}
    >>> round(glass.number_density(density_g_cm3=2.0), 5)
    0.04118
    """

    amounts: Mapping[str, Fraction]

    @classmethod
    def parse(cls, formula: str) -> Composition:
        """Return the composition that a formula such as ``Li3ZrCl4O1.5`` names.

        Raises
        ------
        SettingsError
            If the text is no formula, names an unknown element or gives an amount of zero.
        """
        text = formula.strip()
        amounts: dict[str, Fraction] = {}
        end = 0
        for match in _TOKEN.finditer(text):
            if match.start() != end:
                break
            end = match.end()
            element, number = match.group(1), match.group(2)
            if element not in atomic_numbers or element == "X":
                hint = (
                    did_you_mean(element, FORMAL_CHARGES)
                    if len(element) > 1
                    else "use element symbols such as Li, Zr, Cl, O"
                )
                raise SettingsError(f"formula '{formula}': unknown element '{element}'; {hint}")
            amount = Fraction(number) if number else Fraction(1)
            if amount == 0:
                raise SettingsError(f"formula '{formula}': amount of {element} is 0; leave the element out")
            amounts[element] = amounts.get(element, Fraction(0)) + amount.limit_denominator(_LARGEST_DENOMINATOR)
        if not amounts or end != len(text):
            where = f"formula '{formula}': cannot read it from character {end + 1}"
            raise SettingsError(f"{where}; expected symbols and amounts such as Li3ZrCl4O1.5")
        return cls(MappingProxyType(amounts))

    @classmethod
    def of_atoms(cls, symbols: list[str]) -> Composition:
        """Return the composition of a list of chemical symbols, reduced to the smallest integers."""
        if not symbols:
            raise SettingsError("composition: no atoms given")
        counts: dict[str, int] = {}
        for symbol in symbols:
            counts[symbol] = counts.get(symbol, 0) + 1
        divisor = math.gcd(*counts.values())
        return cls(MappingProxyType({element: Fraction(n, divisor) for element, n in counts.items()}))

    def __reduce__(self) -> tuple[object, tuple[dict[str, Fraction]]]:
        return _rebuild, (dict(self.amounts),)  # a mapping proxy cannot be pickled

    def __hash__(self) -> int:
        return hash(tuple(self.amounts.items()))

    @property
    def elements(self) -> tuple[str, ...]:
        """Element symbols in the order of the formula."""
        return tuple(self.amounts)

    @property
    def formula(self) -> str:
        """The formula as text, amounts of one left out."""
        return "".join(f"{e}{_number(n)}" for e, n in self.amounts.items())

    @property
    def fractions(self) -> dict[str, float]:
        """Number fraction c_i of each element; they sum to one."""
        total = sum(self.amounts.values())
        return {e: float(n / total) for e, n in self.amounts.items()}

    def integer_formula_unit(self) -> dict[str, int]:
        """Atoms of each element in the smallest formula unit of whole atoms (Li3ZrCl4O1.5 gives Li6Zr2Cl8O3)."""
        multiple = math.lcm(*(n.denominator for n in self.amounts.values()))
        whole = {e: int(n * multiple) for e, n in self.amounts.items()}
        divisor = math.gcd(*whole.values())
        return {e: n // divisor for e, n in whole.items()}

    def counts(self, n_atoms: int) -> dict[str, int]:
        """Return the atoms of each element in a cell of exactly `n_atoms` atoms.

        Raises
        ------
        SettingsError
            If `n_atoms` is no multiple of the smallest formula unit; the message names the nearest numbers that are.
        """
        unit = self.integer_formula_unit()
        size = sum(unit.values())
        if n_atoms < 1 or n_atoms % size:
            lower, upper = n_atoms // size * size, (n_atoms // size + 1) * size
            nearest = f"{lower} or {upper}" if lower > 0 else f"{upper}"
            raise SettingsError(f"{n_atoms} atoms of {self.formula}: expected a multiple of {size}; use {nearest}")
        return {e: n * (n_atoms // size) for e, n in unit.items()}

    def nearest_atom_number(self, n_atoms: int) -> int:
        """Return the multiple of the smallest formula unit that is nearest to `n_atoms` (at least one unit)."""
        size = sum(self.integer_formula_unit().values())
        return max(1, round(n_atoms / size)) * size

    def formal_charges(self) -> dict[str, int]:
        """Return the formal charge in e of each element, such that one formula unit is neutral.

        Raises
        ------
        SettingsError
            If an element's usual charges are not known here or no combination of them is neutral.
        """
        unknown = [e for e in self.amounts if e not in FORMAL_CHARGES]
        if unknown:
            raise SettingsError(f"{self.formula}: no formal charge known for {', '.join(unknown)}")
        choices: list[dict[str, int]] = [{}]
        for element in self.amounts:
            choices = [{**c, element: q} for c in choices for q in FORMAL_CHARGES[element]]
        sums = [sum(n * c[e] for e, n in self.amounts.items()) for c in choices]
        for choice, total in zip(choices, sums, strict=True):
            if total == 0:
                return choice
        states = ", ".join(f"{e}{q:+d}" for e, q in choices[0].items())
        raise SettingsError(
            f"{self.formula}: not charge neutral, sum {float(sums[0]):+g} e with {states}; expected 0, mend the amounts"
        )

    def formula_mass(self) -> float:
        """Mass of one formula unit as written, in u."""
        return float(sum(float(n) * atomic_masses[atomic_numbers[e]] for e, n in self.amounts.items()))

    def number_density(self, *, density_g_cm3: float) -> float:
        """Return atoms per Å3 at a mass density: n = density / (mean atomic mass)."""
        return density_g_cm3 / (self._mean_mass() * G_CM3_PER_U_A3)

    def density_g_cm3(self, *, number_density: float) -> float:
        """Return the mass density in g/cm3 at `number_density` atoms per Å3."""
        return number_density * self._mean_mass() * G_CM3_PER_U_A3

    def _mean_mass(self) -> float:
        return self.formula_mass() / float(sum(self.amounts.values()))


def oxyhalide_series(x: float) -> Composition:
    """Return Li(2+2x)ZrCl4O(1+x), the series of doi:10.1021/jacs.3c07343.

    Parameters
    ----------
    x
        Substitution, from 0 to 1.

    Examples
    --------
    >>> oxyhalide_series(0.5).formula
    'Li3ZrCl4O1.5'
    """
    if not 0 <= x <= 1:
        raise SettingsError(f"series Li(2+2x)ZrCl4O(1+x): x = {x:g}, expected 0 to 1")
    step = Fraction(x).limit_denominator(_LARGEST_DENOMINATOR)
    return Composition(MappingProxyType({"Li": 2 + 2 * step, "Zr": Fraction(1), "Cl": Fraction(4), "O": 1 + step}))


def _rebuild(amounts: dict[str, Fraction]) -> Composition:
    return Composition(MappingProxyType(amounts))


def _number(amount: Fraction) -> str:
    return "" if amount == 1 else f"{float(amount):g}"


def place_in_series(formula: str) -> float | None:
    """Return x of a member of Li(2+2x)ZrCl4O(1+x), None for another composition.

    Examples
    --------
    >>> place_in_series("Li3ZrCl4O1.5"), place_in_series("Li2ZrCl6")
    (0.5, None)
    """
    try:
        amounts = Composition.parse(formula).amounts
    except SettingsError:
        return None
    zr = amounts.get("Zr")
    if zr is None or set(amounts) != {"Li", "Zr", "Cl", "O"} or amounts["Cl"] != 4 * zr:
        return None
    x = amounts["O"] / zr - 1
    return float(x) if amounts["Li"] / zr == 2 + 2 * x else None
