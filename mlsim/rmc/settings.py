"""Settings of a refinement."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlsim.rmc.constraints import CoordinationTarget

__all__ = ["RefineSettings"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pair = tuple[str, str]


class RefineSettings(BaseModel):
    """How a configuration is refined; what it is fitted to is a list of `DataSet`.

    Attributes
    ----------
    moves_per_atom
        Proposals per atom in one run.
    minimum_distances_A
        By pair, Å; see `minimum_distances_for`.
    coordination
        Soft targets.
    valence_sigma
        Turns on the bond-valence term; how far a sum may be from the formal charge, in valence units.
    swaps
        Pairs of elements whose atoms may be exchanged; none by default.
    swap_share
        Share of the proposals that are exchanges, where `swaps` is given.
    annealing
        Share of the run over which the misfit counts less: it is divided by a temperature that falls by a constant
        factor per block from (chi squared of the start)/(number of atoms) to 1. 0: full weight from the first move,
        which gets stuck early from a random start.
    first_step_A
        Radius of the ball of displacements at the start, Å; adapts by element from then on.
    acceptance
        Acceptance that the steps adapt to.
    longest_step_A, shortest_step_A
        Ends of the adaptation, Å.
    r_end_A
        Where pair sums end and the uniform density takes over, Å; by default half the smallest height of the cell, at
        most 20 Å or what functions of r need.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    moves_per_atom: Positive = 1000.0
    minimum_distances_A: dict[Pair, Positive] = {}
    coordination: tuple[CoordinationTarget, ...] = ()
    valence_sigma: Positive | None = None
    swaps: tuple[Pair, ...] = ()
    swap_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    annealing: Annotated[float, Field(ge=0, lt=1)] = 0.6
    first_step_A: Positive = 0.1
    acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.3
    longest_step_A: Positive = 1.0
    shortest_step_A: Positive = 0.02
    r_end_A: Positive | None = None

    @model_validator(mode="after")
    def _steps_in_order(self) -> Self:
        if not self.shortest_step_A <= self.first_step_A <= self.longest_step_A:
            raise ValueError(
                f"first step {self.first_step_A:g} Å outside {self.shortest_step_A:g} to {self.longest_step_A:g} Å"
            )
        return self
