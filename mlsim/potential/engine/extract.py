"""Merge a trained MACE into the arrays of `MergedModel`; the one place of the engine that imports torch and mace.

Modules are probed in float64 and the structure that the merged form relies on is checked, so that a model either fits
exactly or is refused with the reason.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.potential.engine.merged import ZBL, MergedLayer, MergedModel, NotCompilable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch, e3nn and mace warn about one another
    import mace  # noqa: F401  before e3nn: it makes e3nn's constants loadable
    import torch
    from e3nn import o3

__all__ = ["load_model", "merge", "reference_results"]

Floats = NDArray[np.float64]

INTERACTIONS = ("RealAgnosticInteractionBlock", "RealAgnosticResidualInteractionBlock")
READOUTS = ("LinearReadoutBlock", "NonLinearReadoutBlock")
EXACT = 1e-6  # relative; buffers of a float32 model carry rounding of this order


def load_model(path: Path) -> Any:
    """Return the torch model of a file.

    Raises
    ------
    DataError
        If there is no such file or it holds no model.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file, expected a model that mace_run_train wrote")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # torch and pickle raise whatever they like on foreign bytes
        text = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a torch model ({text}), expected one that mace_run_train wrote") from None
    if not isinstance(model, torch.nn.Module):
        raise DataError(f"{path}: holds a {type(model).__name__}, expected a model that mace_run_train wrote")
    return model


def reference_results(model: Any, frames: Sequence[Atoms]) -> list[dict[str, Any]]:
    """Return energy (eV), forces (eV/Å) and stress (eV/Å3) of each frame in float64 on the CPU."""
    before = torch.get_default_dtype()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mace.calculators import MACECalculator

        exact = copy.deepcopy(model).to(device="cpu", dtype=torch.float64)
        try:
            calculator = MACECalculator(models=[exact], device="cpu", default_dtype="float64")
            results = []
            for frame in frames:
                calculator.calculate(frame.copy(), ["energy", "forces", "stress"])
                results.append(dict(calculator.results))
        finally:
            torch.set_default_dtype(before)  # MACECalculator changes it
    return results


def merge(model: Any, *, table_start_A: float = 0.3, intervals: int = 512) -> MergedModel:
    """Return the merged weights of a MACE model.

    Parameters
    ----------
    model
        `mace.modules.MACE` or `ScaleShiftMACE` with k x 0e hidden features, one or two layers, l_max 1 to 3 and
        correlation up to 3.
    table_start_A
        Where the radial tables begin, Å.
    intervals
        Number of intervals of the radial tables.

    Raises
    ------
    NotCompilable
        If the merged form would not be exact, with the reason.
    """
    check_kind(model)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # copies of scripted modules warn
        model = copy.deepcopy(model).to(device="cpu", dtype=torch.float64).eval()
        return merged(model, table_start_A, intervals)


def check_kind(model: Any) -> None:
    """Raise NotCompilable unless the kinds of the model's parts are known."""
    kind = type(model).__name__
    if kind not in ("MACE", "ScaleShiftMACE"):
        raise NotCompilable(f"model of class {kind}, expected MACE or ScaleShiftMACE")
    heads = list(getattr(model, "heads", None) or ["Default"])
    if len(heads) > 1:
        raise NotCompilable(f"model has {len(heads)} heads ({', '.join(heads)}), expected one; select a head first")
    if hasattr(model, "joint_embedding"):
        raise NotCompilable("model has embeddings beside the elements (charge, spin, ...), expected elements only")
    if len(model.interactions) > 2:
        raise NotCompilable(f"model has {len(model.interactions)} layers, expected 1 or 2")
    for interaction, prod in zip(model.interactions, model.products, strict=True):
        check_layer(interaction, prod)
    readouts = [type(block).__name__ for block in model.readouts]
    if any(name not in READOUTS for name in readouts) or "NonLinearReadoutBlock" in readouts[:-1]:
        raise NotCompilable(f"readouts {', '.join(readouts)}, expected linear ones and {READOUTS[1]} in the end")
    if hasattr(model, "pair_repulsion") and type(model.pair_repulsion_fn).__name__ != "ZBLBasis":
        raise NotCompilable(f"pair repulsion {type(model.pair_repulsion_fn).__name__}, expected ZBLBasis")


def check_layer(interaction: Any, prod: Any) -> None:
    """Raise NotCompilable unless the layer is of a known kind."""
    name = type(interaction).__name__
    if name not in INTERACTIONS:
        raise NotCompilable(f"interaction {name}, expected {' or '.join(INTERACTIONS)}")
    for part in (interaction, prod):
        config = getattr(part, "cueq_config", None)
        if config is not None and config.enabled:
            raise NotCompilable("model in cuEquivariance's form, expected e3nn's; convert it with mace_cueq_to_e3nn")
    l_max = o3.Irreps(interaction.target_irreps).lmax
    if not 1 <= l_max <= 3:
        raise NotCompilable(f"messages up to l = {l_max}, expected l_max from 1 to 3")
    for irreps in (o3.Irreps(interaction.node_feats_irreps), o3.Irreps(interaction.hidden_irreps)):
        if len(irreps) != 1 or any(ir.l != 0 or ir.p != 1 for _, ir in irreps):
            raise NotCompilable(f"hidden features {irreps}, expected scalars only (k x 0e)")


def merged(model: Any, table_start_A: float, intervals: int) -> MergedModel:
    """Merge a float64 model of a known kind."""
    numbers = tuple(int(z) for z in model.atomic_numbers)
    n = len(numbers)
    one = torch.eye(n, dtype=torch.float64)
    scale, shift = 1.0, 0.0
    if hasattr(model, "scale_shift"):
        scale, shift = float(model.scale_shift.scale), float(model.scale_shift.shift)
    tables, pair_table = radial_tables(model, table_start_A, intervals)
    layers = tuple(
        merged_layer(interaction, prod, table, n)
        for interaction, prod, table in zip(model.interactions, model.products, tables, strict=True)
    )
    features = model.node_embedding(one)
    first, prod1 = model.interactions[0], model.products[0]
    after1 = matrix(prod1.linear)  # B to features of the atom
    shift1 = array(skip(first, prod1, features, one))  # element to features of the atom
    atom = array(model.atomic_energies_fn(one)).reshape(n, -1)[:, 0] + shift
    channels = after1.shape[0]
    energy1, readouts = np.zeros(channels), list(model.readouts)
    if len(readouts) == len(model.interactions) and (len(layers) == 2 or linear_readout(readouts[0])):
        weights = matrix(readouts[0].linear)[:, 0] * scale
        energy1, atom = after1 @ weights, atom + shift1 @ weights
    elif len(layers) == 1:
        raise NotCompilable(f"one layer with readout {type(readouts[0]).__name__}, expected LinearReadoutBlock")
    parts = second_part(model, after1, shift1, scale, one) if len(layers) == 2 else no_second_part(channels, n)
    return MergedModel(
        numbers=numbers,
        cutoff_A=float(model.r_max),
        table_start_A=table_start_A,
        layers=layers,
        pair_table=pair_table,
        sender=array(first.linear_up(features)),
        atom_energy=atom,
        energy1=energy1,
        zbl=zbl_constants(model, scale) if hasattr(model, "pair_repulsion") else None,
        **parts,
    )


def array(tensor: torch.Tensor) -> Floats:
    """Return a tensor as a float64 array."""
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float64)


def matrix(linear: Any) -> Floats:
    """Return the matrix W of a map x -> x W, after checking that it is linear."""
    size = linear.irreps_in.dim
    W = array(linear(torch.eye(size, dtype=torch.float64)))
    x = torch.linspace(-1, 2, size, dtype=torch.float64)[None, :]
    if not close(array(linear(x)), array(x) @ W):
        raise NotCompilable(f"{type(linear).__name__} is not linear, expected a map without bias")
    return W


def close(got: Floats, expected: Floats) -> bool:
    """Return whether two arrays agree to the rounding of a float32 model's buffers."""
    size = max(float(np.abs(expected).max(initial=0)), float(np.abs(got).max(initial=0)), 1e-12)
    return got.shape == expected.shape and float(np.abs(got - expected).max(initial=0)) < EXACT * size


def linear_readout(readout: Any) -> bool:
    """Return whether a readout is a linear map."""
    return type(readout).__name__ == "LinearReadoutBlock"


def skip(interaction: Any, prod: Any, features: torch.Tensor, one: torch.Tensor) -> torch.Tensor:
    """Return what passes a layer beside the message; zero for interactions that are not residual."""
    if "Residual" in type(interaction).__name__ and prod.use_sc:
        passed: torch.Tensor = interaction.skip_tp(features, one)
        return passed
    return torch.zeros((len(features), prod.linear.irreps_out.dim), dtype=torch.float64)


def second_part(model: Any, after1: Floats, shift1: Floats, scale: float, one: torch.Tensor) -> dict[str, Any]:
    """Return the maps from the products of both layers to what layer 2 sends and to the last readout."""
    second, prod2, readout = model.interactions[1], model.products[1], model.readouts[-1]
    up, after2, n = matrix(second.linear_up), matrix(prod2.linear), len(one)
    eye = torch.eye(after1.shape[1], dtype=torch.float64)
    kept = np.stack([array(skip(second, prod2, eye, one[s].expand(len(eye), n))) for s in range(n)])
    if linear_readout(readout):
        into, out, gate = matrix(readout.linear), np.full(1, scale), "none"
    else:
        into, (out, gate) = matrix(readout.linear_1), gate_and_output(readout)
        out = out * scale
    return {
        "up": after1 @ up,
        "up_shift": shift1 @ up,
        "hidden1": np.einsum("ij,sjk,kh->sih", after1, kept, into),
        "hidden2": after2 @ into,
        "hidden_shift": np.einsum("sj,sjk,kh->sh", shift1, kept, into),
        "out": out,
        "gate": gate,
    }


def no_second_part(channels: int, n_elements: int) -> dict[str, Any]:
    """Return the empty arrays of a model of one layer."""
    return {
        "up": np.zeros((channels, channels)),
        "up_shift": np.zeros((n_elements, channels)),
        "hidden1": np.zeros((n_elements, channels, 0)),
        "hidden2": np.zeros((channels, 0)),
        "hidden_shift": np.zeros((n_elements, 0)),
        "out": np.zeros(0),
        "gate": "none",
    }


def gate_and_output(readout: Any) -> tuple[Floats, str]:
    """Return the readout's output weights with the gate's normalisation, and the gate's name."""
    width = readout.linear_1.irreps_out.dim
    weights = matrix(readout.linear_2)[:, 0]
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None].expand(-1, width).contiguous()
    got = array(readout.non_linearity(x))
    gates = {"silu": torch.nn.functional.silu(x), "tanh": torch.tanh(x), "none": x}
    for name, values in gates.items():
        expected = array(values)
        factor = got[-1] / expected[-1]
        if close(got, expected * factor):
            return weights * factor, name
    raise NotCompilable("gate of the last readout, expected silu, tanh or none")


def merged_layer(interaction: Any, prod: Any, table: Floats, n_elements: int) -> MergedLayer:
    """Merge one interaction and its product."""
    n_l, channels = table.shape[3:]
    paths = path_factors(interaction, n_l, channels)
    linear, square, cubic, terms, factors = product_weights(prod, n_l, channels, n_elements)
    return MergedLayer(
        table=table,
        mix=mixing(interaction, n_l, channels, n_elements) * paths[None, :, None, None],
        linear=linear,
        square=square,
        cubic=cubic,
        terms=terms,
        factors=factors,
    )


def path_factors(interaction: Any, n_l: int, channels: int) -> Floats:
    """Return f_l of the convolution x_c Y_lm w_lc f_l, after checking that it has this form."""
    generator = torch.Generator().manual_seed(1)
    conv = interaction.conv_tp
    atoms = o3.Irreps(interaction.node_feats_irreps).dim
    if conv.irreps_in1.dim != atoms:
        raise NotCompilable(f"edges carry {conv.irreps_in1}, expected as many channels as the atoms ({atoms})")
    if conv.weight_numel != n_l * channels:
        raise NotCompilable(f"convolution with {conv.weight_numel} weights, expected {n_l} x {channels}")
    x, w, Y = (
        torch.randn(3, size, generator=generator, dtype=torch.float64) for size in (channels, n_l * channels, n_l**2)
    )
    # fused forms scatter over edges; one edge from each of the three atoms to itself leaves the product alone
    loop = torch.arange(3).expand(2, 3)
    got = array(conv(x, Y, w, loop) if hasattr(interaction, "conv_fusion") else conv(x, Y, w))
    factors, start = np.zeros(n_l), 0
    for ell in range(n_l):
        size = channels * (2 * ell + 1)
        plain = np.einsum(
            "ec,em,ec->ecm",
            array(x),
            array(Y)[:, ell * ell : (ell + 1) ** 2],
            array(w)[:, ell * channels : (ell + 1) * channels],
        ).reshape(3, -1)
        block = got[:, start : start + size]
        factors[ell] = block[0, 0] / plain[0, 0]
        if not close(block, plain * factors[ell]):
            raise NotCompilable("convolution is not channel by channel, expected messages of scalars")
        start += size
    return factors


def mixing(interaction: Any, n_l: int, channels: int, n_elements: int) -> Floats:
    """Return the matrices (1 or element, l, in, out) from the summed message to the product's input."""
    per_element = "Residual" not in type(interaction).__name__
    one = torch.eye(n_elements, dtype=torch.float64)
    total = channels * n_l**2
    x = torch.linspace(-1, 2, total, dtype=torch.float64)[None, :]
    result = np.zeros((n_elements if per_element else 1, n_l, channels, channels))
    for s in range(len(result)):

        def through(y: torch.Tensor, s: int = s) -> Floats:
            y = interaction.linear(y) / interaction.avg_num_neighbors
            if per_element:
                y = interaction.skip_tp(y, one[s].expand(len(y), n_elements))
            return array(interaction.reshape(y))  # (batch, channel, lm)

        start = 0
        for ell in range(n_l):
            probe = torch.zeros(channels, total, dtype=torch.float64)
            for c in range(channels):
                probe[c, start + c * (2 * ell + 1)] = 1
            result[s, ell] = through(probe)[:, :, ell * ell]
            start += channels * (2 * ell + 1)
        blocks, start, expected = array(x), 0, np.zeros((1, channels, n_l**2))
        for ell in range(n_l):
            block = blocks[0, start : start + channels * (2 * ell + 1)].reshape(channels, 2 * ell + 1)
            expected[0, :, ell * ell : (ell + 1) ** 2] = result[s, ell].T @ block
            start += channels * (2 * ell + 1)
        if not close(through(x), expected):
            raise NotCompilable("channels do not mix separately for each l")
    return result


def product_weights(
    prod: Any, n_l: int, channels: int, n_elements: int
) -> tuple[Floats, Floats, Floats, NDArray[np.int64], Floats]:
    """Return linear, square and cubic weights of the symmetric contraction, monomials and factors of the cubic ones."""
    contractions = prod.symmetric_contractions.contractions
    if len(contractions) != 1:
        raise NotCompilable(f"product with {len(contractions)} outputs, expected scalars only")
    contraction = contractions[0]
    order = int(contraction.correlation)
    if order > 3:
        raise NotCompilable(f"correlation {order}, expected at most 3")
    linear, square = np.zeros((n_elements, channels)), np.zeros((n_elements, n_l, channels))
    cubic, terms, factors = np.zeros((n_elements, 0, channels)), np.zeros((0, 4), np.int64), np.zeros(0)
    for degree in range(1, order + 1):
        U = array(contraction.U_tensors(degree))
        stored = contraction.weights_max if degree == order else contraction.weights[order - degree - 1]
        weights = np.broadcast_to(array(stored), (n_elements, *stored.shape[1:]))
        invariants, shares = polynomial_basis(U, n_l, degree)
        used = np.einsum("pk,skc->spc", shares, weights)
        if degree == 1:
            linear[:] = split(invariants, used, [[(0,)]])[0]
        elif degree == 2:
            rows = [[(lm, lm) for lm in range(ell * ell, (ell + 1) ** 2)] for ell in range(n_l)]
            square[:] = np.stack(split(invariants, used, rows), axis=1)
        else:
            cubic = used
            terms = np.array([(p, *key) for p, poly in enumerate(invariants) for key in poly], np.int64)
            terms = terms.reshape(-1, 4)
            factors = np.array([value for poly in invariants for value in poly.values()])
    return linear, square, cubic, terms, factors


Polynomial = dict[tuple[int, ...], float]


def polynomial_basis(U: Floats, n_l: int, degree: int) -> tuple[list[Polynomial], Floats]:
    """Return invariants I_p as sparse polynomials and the matrix (p, k) that writes the k columns of U in them.

    Columns of U that hold the same l's span a space of few dimensions (one for degree up to 3): each is replaced by
    the vectors of a singular value decomposition.
    """
    if U.shape[:-1] != (n_l**2,) * degree:
        raise NotCompilable(f"contraction tensor of shape {U.shape}, expected {(n_l**2,) * degree} and paths")
    degree_of = [ell for ell in range(n_l) for _ in range(2 * ell + 1)]
    groups: dict[tuple[int, ...], dict[tuple[int, ...], Floats]] = {}
    for key in itertools.combinations_with_replacement(range(n_l**2), degree):
        column = sum((U[order] for order in set(itertools.permutations(key))), np.zeros(U.shape[-1]))
        groups.setdefault(tuple(sorted(degree_of[i] for i in key)), {})[key] = column
    invariants: list[Polynomial] = []
    shares: list[Floats] = []
    for group in groups.values():
        keys, values = list(group), np.stack(list(group.values()))
        left, sizes, right = np.linalg.svd(values, full_matrices=False)
        for q in range(int((sizes > EXACT).sum())):
            vector = left[:, q] / np.abs(left[:, q]).max()
            kept = {k: float(v) for k, v in zip(keys, vector, strict=True) if abs(v) > EXACT}
            invariants.append(kept)
            shares.append(right[q] * sizes[q] * np.abs(left[:, q]).max())
    return invariants, np.array(shares).reshape(-1, U.shape[-1])


def split(invariants: list[Polynomial], used: Floats, rows: Sequence[Sequence[tuple[int, ...]]]) -> list[Floats]:
    """Return the weights (element, channel) of the polynomials sum over `rows[n]`; refuse any other polynomial."""
    result = [np.zeros((used.shape[0], used.shape[2])) for _ in rows]
    for p, polynomial in enumerate(invariants):
        for n, keys in enumerate(rows):
            values = np.array([polynomial.get(key, 0.0) for key in keys])
            if set(polynomial) == set(keys) and close(values, np.full(len(keys), values[0])):
                result[n] += used[:, p] * values.mean()
                break
        else:
            raise NotCompilable("product of low degree is not a sum of squares, expected invariants of rotation")
    return result


def radial_tables(model: Any, start: float, intervals: int) -> tuple[list[Floats], NDArray[np.int64]]:
    """Return for each layer the table (table, node, 2, l, channel), and which table a pair of elements uses."""
    n = len(model.atomic_numbers)
    pairs = [(0, 0)]
    pair_table = np.zeros((n, n), np.int64)
    if hasattr(model.radial_embedding, "distance_transform"):
        pairs = list(itertools.combinations_with_replacement(range(n), 2))
        for k, (a, b) in enumerate(pairs):
            pair_table[a, b] = pair_table[b, a] = k
    step = (float(model.r_max) - start) / intervals
    r = torch.linspace(start, float(model.r_max), intervals + 1, dtype=torch.float64)[:, None]
    tables = []
    for interaction in model.interactions:
        n_l = len(o3.Irreps(interaction.target_irreps))
        sets = []
        for a, b in pairs:
            values, slopes = radial(model, interaction, r, a, b), radial_slope(model, interaction, r, a, b)
            if np.abs(values[-1]).max() > EXACT * np.abs(values).max():
                raise NotCompilable("radial functions do not vanish at the cut-off, expected an envelope")
            values[-1] = slopes[-1] = 0.0
            sets.append(np.stack([values, slopes * step], axis=1))
        table = np.stack(sets)
        tables.append(table.reshape(*table.shape[:3], n_l, -1))
    return tables, pair_table


def radial(model: Any, interaction: Any, r: torch.Tensor, a: int, b: int) -> Floats:
    """Return the weights of the convolution at distances r (column, Å) for elements a and b; shape (r, l * channel)."""
    one = torch.eye(len(model.atomic_numbers), dtype=torch.float64)
    index = torch.tensor([[a], [b]]).expand(2, len(r))
    features, envelope = model.radial_embedding(r, one, index, model.atomic_numbers)
    weights = interaction.conv_tp_weights(features)
    return array(weights if envelope is None else weights * envelope)


def radial_slope(model: Any, interaction: Any, r: torch.Tensor, a: int, b: int, h: float = 1e-4) -> Floats:
    """Return d radial / dr by central differences of fourth order, error about 1e-12."""
    f = [radial(model, interaction, r + k * h, a, b) for k in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)


def zbl_constants(model: Any, scale: float) -> ZBL:
    """Return the constants of the pair repulsion; the model's scale multiplies it."""
    repulsion, Z = model.pair_repulsion_fn, model.atomic_numbers
    power = array(Z.double() ** repulsion.a_exp)
    radii = array(repulsion.covalent_radii[Z])
    z = array(Z.double())
    return ZBL(
        prefactor_eV_A=scale * 14.3996 * z[:, None] * z[None, :],
        inverse_a_per_A=(power[:, None] + power[None, :]) / (float(repulsion.a_prefactor) * 0.529),
        reach_A=radii[:, None] + radii[None, :],
        weights=array(repulsion.c),
        power=int(repulsion.p),
    )
