"""The engine says what float64 torch says, for every kind of model that it takes; it refuses the others."""

from __future__ import annotations

import copy
import re
import warnings
from typing import Any

import numpy as np
import pytest
from random_models import largest_deviations, random_model

from mlsim.potential.engine import NotCompilable
from mlsim.potential.engine.extract import merge

RESIDUAL = {"first": "RealAgnosticResidualInteractionBlock"}
TWO = {"num_elements": 2, "atomic_numbers": [3, 40], "atomic_energies": np.array([-1.0, 2.0])}
KINDS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "one layer, linear product": {"num_interactions": 1, "correlation": 1, **RESIDUAL},
    "residual, odd width, cubic in layer 2, tables by pair, other basis and envelope": {
        "k": 10,
        "correlation": [2, 3],
        "distance_transform": "Agnesi",
        "radial_type": "gaussian",
        "num_polynomial_cutoff": 6,
        "apply_cutoff": False,
        **RESIDUAL,
    },
    "blind product, last readout only, one wide radial layer, no repulsion": {
        "use_agnostic_product": True,
        "use_last_readout_only": True,
        "radial_MLP": [24],
        "pair_repulsion": False,
    },
}
MORE_KINDS: dict[str, dict[str, Any]] = {
    "two elements": TWO,
    "one layer, cubic": {"num_interactions": 1, "correlation": 3},
    "two layers, linear product": {"correlation": 1},
    "vectors only": {"l_max": 1, "correlation": 3},
    "l up to 3": {"l_max": 3, "correlation": 3},
    "soft transform": {"distance_transform": "Soft"},
    "three radial layers, more functions": {"radial_MLP": [16, 16, 16], "num_bessel": 10, "r_max": 6.0},
    "wide": {"k": 48, "correlation": 3},
    "reduced Clebsch-Gordan": {"use_reduced_cg": True},
    "even harmonics only": {"use_so3": True, "correlation": 3},
}


def check(kind: dict[str, Any]) -> None:
    worst = largest_deviations(random_model(**kind))
    assert worst["energy"] < 2e-7
    assert worst["energies"] < 2e-6
    assert worst["forces"] < 1e-5
    assert worst["stress"] < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_float32_engine_agrees_with_float64_torch(kind: str) -> None:
    check(KINDS[kind])


@pytest.mark.slow
@pytest.mark.parametrize("kind", MORE_KINDS)
def test_float32_engine_agrees_with_float64_torch_for_more_kinds(kind: str) -> None:
    check(MORE_KINDS[kind])


def test_merged_form_is_exact_for_cubic_products_of_l_up_to_three() -> None:
    worst = largest_deviations(random_model(l_max=3, correlation=3, **RESIDUAL), "float64")
    # what is left are the radial tables
    assert worst["energies"] < 2e-8
    assert worst["forces"] < 1e-6
    assert worst["stress"] < 1e-7


def test_tanh_gate_agrees() -> None:
    import torch

    check({"gate": torch.tanh})


@pytest.fixture(scope="module")
def made() -> Any:
    return random_model(k=8, l_max=1, correlation=1)


@pytest.fixture
def small(made: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return copy.deepcopy(made)


def refused(model: Any, message: str) -> None:
    with pytest.raises(NotCompilable, match=re.escape(message)):
        merge(model)


def test_hidden_vectors_are_refused(small: Any) -> None:
    small.interactions[0].hidden_irreps = "8x0e+8x1o"
    refused(small, "hidden features 8x0e+8x1o, expected scalars only (k x 0e)")


def test_three_layers_are_refused(small: Any) -> None:
    import torch

    small.interactions = torch.nn.ModuleList([*small.interactions, small.interactions[1]])
    refused(small, "model has 3 layers, expected 1 or 2")


def test_messages_beyond_l_3_are_refused(small: Any) -> None:
    small.interactions[1].target_irreps = "8x0e+8x1o+8x2e+8x3o+8x4e"
    refused(small, "messages up to l = 4, expected l_max from 1 to 3")


def test_correlation_beyond_3_is_refused(small: Any) -> None:
    small.products[0].symmetric_contractions.contractions[0].correlation = 4
    refused(small, "correlation 4, expected at most 3")


def test_several_heads_are_refused(small: Any) -> None:
    small.heads = ["pbe", "scan"]
    refused(small, "model has 2 heads (pbe, scan), expected one; select a head first")


def test_unknown_interactions_readouts_and_repulsions_are_refused(small: Any) -> None:
    import torch

    class Other(torch.nn.Identity):
        pass

    small.pair_repulsion_fn = Other()
    refused(small, "pair repulsion Other, expected ZBLBasis")
    small.readouts[1] = Other()
    refused(small, "readouts LinearReadoutBlock, Other, expected linear ones and NonLinearReadoutBlock in the end")
    small.interactions[0] = Other()
    refused(small, "interaction Other, expected RealAgnosticInteractionBlock or RealAgnosticResidualInteractionBlock")


def test_other_gates_are_refused(small: Any) -> None:
    import torch

    small.readouts[1].non_linearity = torch.nn.ReLU()
    refused(small, "gate of the last readout, expected silu, tanh or none")


def test_narrow_edges_are_refused() -> None:
    from e3nn import o3

    model = random_model(k=8, l_max=1, correlation=1, edge_irreps=o3.Irreps("4x0e"))
    refused(model, "edges carry 4x0e, expected as many channels as the atoms (8)")


def test_what_is_no_mace_is_refused() -> None:
    import torch

    refused(torch.nn.Linear(2, 2), "model of class Linear, expected MACE or ScaleShiftMACE")
