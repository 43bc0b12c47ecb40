"""Which compact MACE is worth its cost: error on DFT labels of other chains against time per step.

    python benchmarks/architectures.py DATASET --out DIR [--only 32x2-l2-c2-r5.0 ...] [--epochs 20] [--list]

DATASET holds DFT labels: data/lzoc-dft/labels.extxyz.xz, or a dataset folder. Every architecture is trained from
scratch on the labels of lzoc-base for the same number of epochs (without the pairs pushed together, which short
trainings spend themselves on), then fine-tuned on the DFT labels like the rounds of
data/lzoc-dft/recipe.yaml, so that they differ in nothing but the architecture. Errors are those on the validation
chains, since the test chains must choose nothing; times are those of the compiled engine, 912 atoms on one thread, in
turn with lzoc-base in the same run. A killed run goes on; finished architectures are kept in DIR/architectures.json,
from which architectures.md and architectures.png are made.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from md import cpu_name, enlarged, melt, step_time_us

from mlsim.atomic import atomic_path, atomic_write_text
from mlsim.potential import load
from mlsim.potential.dataset import Split, labelled_chains, split_by_chain
from mlsim.potential.engine import CompiledMACE, NotCompilable, compile_model
from mlsim.potential.evaluate import ClassError, class_errors
from mlsim.potential.recipe import Recipe, TrainingSettings, read_recipe
from mlsim.potential.train import train
from mlsim.shipped import shipped_folder

ARCHITECTURES = (  # scalar channels, layers, l_max, correlation, cut-off in Å: one change at a time from lzoc-base
    (32, 2, 2, 2, 5.0),
    (16, 2, 2, 2, 5.0),
    (64, 2, 2, 2, 5.0),
    (32, 1, 2, 2, 5.0),
    (32, 2, 2, 2, 4.5),
    (32, 2, 2, 3, 5.0),
    (32, 2, 3, 2, 5.0),
    (64, 1, 2, 2, 6.0),
    (32, 2, 2, 2, 6.0),
    (64, 2, 2, 3, 5.0),
    (128, 1, 2, 2, 5.0),
    (128, 2, 2, 2, 5.0),
)
KINDS = {"glass": ("cool melt, small cell",), "melt": ("hot melt, small cell",)}
_LATE = 0.0003


def name_of(architecture: tuple[int, int, int, int, float]) -> str:
    """Return a name such as 32x2-l2-c2-r5.0."""
    channels, layers, l_max, correlation, cutoff = architecture
    return f"{channels}x{layers}-l{l_max}-c{correlation}-r{cutoff:g}" + ("" if cutoff % 1 else ".0")


def settings_of(architecture: tuple[int, int, int, int, float], **given: Any) -> TrainingSettings:
    """Return training settings of an architecture."""
    channels, layers, l_max, correlation, cutoff = architecture
    shape = {"channels": channels, "layers": layers, "l_max": l_max, "correlation": correlation, "cutoff_A": cutoff}
    return TrainingSettings(**shape, final_learning_rate=_LATE, core_forces_weight=0.1, contact_weight=0.01, **given)


def base_labels() -> tuple[Recipe, Split]:
    """Return the recipe of lzoc-base and its labels, split as there."""
    recipe = read_recipe(shipped_folder("potentials") / "lzoc-base" / "recipe.yaml")
    chains = {
        name: [frame for frame in frames if frame.info.get("kind") in ("melt", "crystal")]
        for name, frames in labelled_chains(shipped_folder("data") / "lzoc-base-labels" / "labels.extxyz.xz").items()
    }
    return recipe, split_by_chain(
        chains, validation=recipe.validation, test=recipe.test, largest_force_eV_A=recipe.largest_force_eV_A
    )


def trained(name: str, architecture: tuple[int, int, int, int, float], dft: Path, out: Path, epochs: int) -> Path:
    """Return the fine-tuned model of an architecture, trained unless it is there."""
    base, tuned = out / "models" / f"{name}-base.model", out / "models" / f"{name}.model"
    if not base.exists():
        recipe, split = base_labels()
        train(
            recipe,
            settings_of(architecture, epochs=epochs, learning_rate=0.01),
            split,
            out / "work" / f"{name}-base",
            base,
        )
    if not tuned.exists():
        recipe = read_recipe(shipped_folder("data") / "lzoc-dft" / "recipe.yaml")
        settings = settings_of(architecture, epochs=40, learning_rate=0.003, e0s="least squares")
        split = recipe.split(labelled_chains(dft))
        train(recipe, settings, split, out / "work" / name, tuned, start_from=base)
    return tuned


def errors_on(model: Path, dft: Path) -> dict[str, dict[str, float]]:
    """Return the errors on validation frames by kind."""
    recipe = read_recipe(shipped_folder("data") / "lzoc-dft" / "recipe.yaml")
    rows: list[ClassError] = class_errors(load(model), recipe.split(labelled_chains(dft)).validation)
    found = {}
    for kind, classes in KINDS.items():
        for row in rows:
            if row.name in classes:
                found[kind] = {
                    "n": row.n_frames,
                    "forces_eV_A": row.forces_eV_A,
                    "energy_mae_meV": row.energy_mae_meV,
                    "stress_GPa": row.stress_GPa,
                }
    return found


def time_of(model: Path, out: Path) -> tuple[float, float]:
    """Return µs/atom/step of the compiled model and of lzoc-base, in turn."""
    compiled = out / "models" / f"{model.stem}.npz"
    if not compiled.exists():
        compile_model(model, compiled)
    base = shipped_folder("potentials") / "lzoc-base" / "lzoc-base.npz"
    atoms = enlarged(melt(base), 912)
    best = np.full(2, np.inf)
    for _ in range(3):
        for k, path in enumerate((compiled, base)):
            best[k] = min(best[k], step_time_us(atoms, CompiledMACE(path), 4, 2, time.thread_time))
    return float(best[0]), float(best[1])


def write_section(rows: dict[str, dict[str, Any]], out: Path, epochs: int) -> None:
    """Write architectures.md, fastest first: a section for a model card."""
    lines = [
        "## Architectures",
        "",
        f"    python benchmarks/architectures.py DATASET --out DIR --epochs {epochs}",
        "",
        "Channels × layers, l_max, correlation, cut-off in Å. All trained alike, much shorter than this potential: "
        f"from scratch on the labels of lzoc-base ({epochs} epochs), then on the DFT labels (40 epochs), one seed. "
        "Errors on the validation chains: forces (root mean square, eV/Å) and energy (mean absolute, meV/atom). "
        "Times on one thread, 912 atoms, and their ratio to lzoc-base in the same run.",
        "",
        "| architecture | µs/atom/step | over lzoc-base | glasses | melts from 1300 K | compiled file, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["us"]):
        cells = [
            f"{e['forces_eV_A']:.3f}, {e['energy_mae_meV']:.1f}" if (e := row["errors"].get(kind)) else "–"
            for kind in KINDS
        ]
        size = (out / "models" / f"{name}.npz").stat().st_size / 1e6
        times = f"{row['us']:.1f} | {row['us'] / row['base_us']:.2f}"
        lines.append(f"| {name} | {times} | {' | '.join(cells)} | {size:.1f} |")
    lines += ["", "![Force error against time per step](architectures.png)"]
    atomic_write_text(out / "architectures.md", "\n".join(lines) + "\n")


def draw(rows: dict[str, dict[str, Any]], out: Path) -> None:
    """Draw force errors against time per step; glass and melt of one architecture are joined."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.0, 4.4), layout="constrained")
    looks = {"glass": ("o", "#0072b2", "glasses"), "melt": ("s", "#d55e00", "melts from 1300 K")}
    for kind, (marker, colour, label) in looks.items():
        there = [(r["us"], 1e3 * r["errors"][kind]["forces_eV_A"]) for r in rows.values() if kind in r["errors"]]
        axes.plot(*np.array(there).T, marker, color=colour, label=label, zorder=3)
    for name, row in rows.items():
        ends = [1e3 * row["errors"][kind]["forces_eV_A"] for kind in KINDS]
        axes.plot([row["us"]] * 2, ends, color="0.8", linewidth=1)
        place = {"textcoords": "offset points", "xytext": (0, 7), "rotation": 60, "fontsize": 7, "ha": "left"}
        short = name.replace("-l2", "").replace("-c2", "").replace("-r5.0", "")
        axes.annotate(short, (row["us"], max(ends)), **place)
    axes.set(xlabel="time (µs per atom and step, one thread)", ylabel="force error (meV/Å, RMS)", xscale="log")
    ticks = [t for t in (3, 4, 5, 6, 8, 10, 15, 20, 30, 50) if t < 1.6 * max(r["us"] for r in rows.values())]
    axes.set_xticks(ticks, [f"{t}" for t in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1.3 * max(1e3 * r["errors"][kind]["forces_eV_A"] for r in rows.values() for kind in KINDS))
    axes.set_title("unless named: l_max 2, correlation 2, cut-off 5 Å", fontsize=8, loc="left")
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(out / "architectures.png", dpi=200)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", metavar="NAME")
    parser.add_argument("--epochs", type=int, default=20, help="of the training from scratch")
    parser.add_argument("--list", action="store_true", help="names only")
    given = parser.parse_args()
    known = {name_of(a): a for a in ARCHITECTURES}
    if given.list:
        print("\n".join(known))
        return
    kept = given.out / "architectures.json"
    rows: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in given.only or known:
        if name not in rows:
            model = trained(name, known[name], given.dataset, given.out, given.epochs)
            try:
                us, base_us = time_of(model, given.out)
            except NotCompilable as error:  # one that hardly learnt: its energies are too large for float32
                print(f"{name}: left out, {error}")
                continue
            errors = errors_on(model, given.dataset)
            rows[name] = {"us": us, "base_us": base_us, "errors": errors, "cpu": cpu_name()}
            with atomic_path(kept) as temporary:
                temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(rows[name]))
    write_section(rows, given.out, given.epochs)
    draw(rows, given.out)


if __name__ == "__main__":
    main()
