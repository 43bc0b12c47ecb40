"""Random boxes and synthetic curves for the tests of reverse Monte Carlo."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.curve import Curve, Quantity
from mlsim.rmc import DataSet
from mlsim.rmc.refine import exact_model

CUBE = np.eye(3) * 15.0
SKEW = np.array([[15.0, 0, 0], [4.0, 14.5, 0], [-3.0, 3.5, 15.5]])


def random_box(cell: NDArray[np.float64], counts: dict[str, int], seed: int, closest: float = 1.6) -> Atoms:
    """Points no closer than `closest`, placed one by one."""
    rng = np.random.default_rng(seed)
    inverse = np.linalg.inv(cell)
    points: list[NDArray[np.float64]] = []
    n = sum(counts.values())
    while len(points) < n:
        new = rng.random(3) @ cell
        if points:
            fractional = (np.array(points) - new) @ inverse
            near = fractional - np.round(fractional)
            if np.linalg.norm(near @ cell, axis=1).min() < closest:
                continue
        points.append(new)
    symbols = [e for e, k in counts.items() for _ in range(k)]
    return Atoms(symbols, positions=points, cell=cell, pbc=True)


def oxychloride(cell: NDArray[np.float64] = CUBE, seed: int = 1) -> Atoms:
    return random_box(cell, {"Li": 24, "Zr": 8, "Cl": 32, "O": 12}, seed)


def synthetic(of: Atoms, kind: str = "s_of_q", radiation: str = "xray", *, fit_scale: bool = False) -> DataSet:
    """A data set whose values are the exact curve of a box."""
    quantity = Quantity(kind)
    x = np.arange(0.6, 12.0, 0.05) if quantity.of_q else np.arange(1.0, 6.0, 0.02)
    q_min, q_max = (float(x[0]), float(x[-1])) if quantity.of_q else (0.5, 12.0)

    def data(y: NDArray[np.float64]) -> DataSet:
        curve = Curve(quantity, x, y, np.full(len(x), 0.02))
        return DataSet(
            f"{kind}_{radiation}",
            curve,
            radiation,  # type: ignore[arg-type]
            q_min=q_min,
            q_max=q_max,
            fit_scale=fit_scale,
        )

    return data(exact_model(of, data(np.zeros_like(x)), END).y)


END = 6.6
"""Where pair sums end in all these boxes, Å."""
