"""Proposed moves per second and time to a given misfit of `mlsim.rmc`, beside reverse-monte-carlo (PyPI) in one run.

    pip install 'mlsim[bench]'
    python benchmarks/rmc.py [--atoms 1995] [--seconds 20] [--workers]

Both start from one packing of Li3ZrCl4O1.5 at 1.9 g/cm3 and fit S(Q), 490 points to 25 1/Å, and G(r), 750 points to
15 Å, of another packing, with the same minimum distances and displacements of at most 0.1 Å, on one thread; all times
are CPU times. mlsim weights pairs with X-ray f(Q) and carries the finite Qmax; reverse-monte-carlo has one constant
weight per pair and no Qmax, so that each fits the curves that its own model gives for the target: the misfit is
sum (model − target)² over that of the start. Both accept only moves that lower it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms

from mlsim.composition import Composition
from mlsim.curve import Curve, Quantity
from mlsim.melt_quench import default_minimum_distances, pack
from mlsim.rmc import DataSet, RefineSettings
from mlsim.rmc.constraints import minimum_distances_for
from mlsim.rmc.cost import cost_of
from mlsim.rmc.refine import exact_model
from mlsim.rmc.state import State

Q = np.linspace(0.5, 25.0, 490)
R = np.linspace(0.02, 15.0, 750)
STEP_A = 0.1
R_END_A = 18.0
COMPOSITION = Composition.parse("Li3ZrCl4O1.5")
LEVELS = (0.5, 0.2, 0.1, 0.05)


def boxes(n_atoms: int) -> tuple[Atoms, Atoms]:
    """Return start and target."""
    return tuple(pack(COMPOSITION, n_atoms, density_g_cm3=1.9, seed=seed) for seed in (1, 2))  # type: ignore[return-value]


def our_state(start: Atoms, target: Atoms) -> State:
    """Return a run of ours at a temperature of practically zero, steps of at most 0.1 Å."""
    sets = []
    for kind, x in (("s_of_q", Q), ("g_pdf", R)):
        blank = DataSet(kind, Curve(Quantity(kind), x, 0 * x, 1e-4 + 0 * x), "xray", q_min=0.5, q_max=25.0)
        model = exact_model(target, blank, R_END_A)
        curve = Curve(model.quantity, x, model.y, np.full(len(x), 1e-4))
        sets.append(DataSet(kind, curve, "xray", q_min=0.5, q_max=25.0))
    settings = RefineSettings(first_step_A=STEP_A, r_end_A=R_END_A)
    limits, _ = minimum_distances_for(start, {})
    cost = cost_of(sets, start, R_END_A, min(limits.values()))
    state = State(start, cost, limits, settings, np.random.Generator(np.random.PCG64(1)))
    state.compile()
    return state


def our_misfit(state: State) -> float:
    """Return the misfit of both curves now, each point with the same weight."""
    return float(state.cost.chi_squared(state.waves(), state.scales).sum()) if state.cost else 0.0


def peer_engine(start: Atoms, target: Atoms) -> object:
    """Return an engine of reverse-monte-carlo for the same task."""
    # this file is called rmc too, and Python looks beside a script first
    sys.path = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).parent.resolve()]
    import rmc

    rmc.set_max_concurrency(1)
    symbols = start.get_chemical_symbols()
    bc = rmc.PeriodicBC(np.diag(start.cell.lengths()))

    def structure(atoms: Atoms) -> object:
        return rmc.AtomicStructure(np.ascontiguousarray(atoms.positions), symbols)

    engine = rmc.Engine(structure(start), bc)
    density = len(start) / start.get_volume()
    weights = peer_weights(start)
    for kind, x in ((rmc.StructureFactorConstraint, Q), (rmc.PairDistributionConstraint, R)):
        made = []
        for system in (structure(target), engine.structure):
            fit = kind()
            fit.set_experimental_data(np.column_stack([x, made[0] if made else np.zeros_like(x)]))
            fit.set_number_density(density)
            fit.set_boundary_conditions(bc)
            fit.set_elements(system)
            for (a, b), w in weights.items():
                fit.set_weight(a, b, w)
            if not made:
                fit.initialise()
                fit.compute_error(system.coordinates, [])
                made.append(np.array(fit.computed).ravel())
        engine.add_constraint(fit)
    closest = rmc.InterMolecularDistanceConstraint()
    for (a, b), d in default_minimum_distances(COMPOSITION).items():
        closest.set_minimum_distance(a, b, d)
    structure_ = engine.structure
    structure_.molecule_ids = list(range(1, len(start) + 1))
    closest.set_structure(structure_)
    engine.add_constraint(closest)
    engine.build_atomic_groups(0.0, STEP_A, seed=1)
    engine.set_sampler(rmc.GreedySampler())
    engine.initialise()
    return engine


def peer_weights(atoms: Atoms) -> dict[tuple[str, str], float]:
    """Return constant weights by atomic number."""
    z = dict(zip(atoms.get_chemical_symbols(), atoms.numbers, strict=True))
    mean = float(np.mean(atoms.numbers))
    return {(a, b): float(z[a] * z[b] / mean**2) for a in z for b in z if a <= b}


def course(step: Callable[[int], object], misfit: Callable[[], float], seconds: float, batch: int) -> list[list[float]]:
    """Run for a CPU time; return rows of moves, CPU seconds and misfit relative to the start."""
    first, used, moves = misfit(), 0.0, 0
    rows = [[0.0, 0.0, 1.0]]
    while used < seconds:
        begin = time.process_time()
        step(batch)
        used += time.process_time() - begin
        moves += batch
        rows.append([float(moves), used, misfit() / first])
    return rows


def reached(rows: list[list[float]], level: float) -> str:
    """Return the CPU time at which a misfit was reached."""
    times = [t for _, t, value in rows if value <= level]
    return f"{times[0]:.2f}" if times else "-"


def one_worker(seconds: float) -> int:
    """Return the moves that one process makes in a wall time."""
    state = our_state(*boxes(1995))
    end, moves = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        state.run(1000)
        moves += 1000
    return moves


def throughput(seconds: float) -> None:
    """Print the gain of two worker processes over one."""
    context = multiprocessing.get_context("spawn")
    total = []
    for n in (1, 2):
        with context.Pool(n) as pool:
            total.append(sum(pool.map(one_worker, [seconds] * n)))
    print(f"moves in {seconds:g} s: one worker {total[0]}, two {total[1]}, ratio {total[1] / total[0]:.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[1995])
    parser.add_argument("--seconds", type=float, default=15.0, help="CPU time of each course")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--workers", action="store_true", help="only measure two workers against one")
    options = parser.parse_args()
    if options.workers:
        throughput(options.seconds)
        return
    for n_atoms in options.atoms:
        start, target = boxes(n_atoms)
        state = our_state(start, target)
        ours = course(state.run, lambda state=state: our_misfit(state), options.seconds, 2000)
        lines = {"mlsim": ours}
        if not options.no_peer:
            engine = peer_engine(start, target)
            error = lambda engine=engine: float(engine.stats.last_total_err)  # noqa: E731
            engine.run(1)
            lines[f"reverse-monte-carlo {importlib.metadata.version('reverse-monte-carlo')}"] = course(
                engine.run, error, options.seconds, 500
            )
        print(f"{n_atoms} atoms: CPU seconds to reach a misfit of ... of the start")
        for name, rows in lines.items():
            speed = rows[-1][0] / rows[-1][1]
            times = "  ".join(f"{level:g}: {reached(rows, level)}" for level in LEVELS)
            print(f"  {name}: {speed:.0f} moves/s; {times}; at the end {rows[-1][2]:.4f}")


if __name__ == "__main__":
    main()
