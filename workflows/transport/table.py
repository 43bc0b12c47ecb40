"""Write table.md from the results of analyse.sh: `python table.py RESULTS`."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

KINDS = {"glass": "Li3ZrCl4O1.5 glass", "crystal": "Li2ZrCl6 crystal"}
PUBLISHED = {  # of glassy Li3ZrCl4O1.5; the crystal as ball-milled powders are quoted
    ("activation_energy_eV", None): ("0.294 ± 0.003", "–"),
    ("conductivity_298K_mS_cm", None): ("1.35 ± 0.07", "order of 0.1"),
}
ROWS = {
    "D of Li, cm²/s": "li_diffusivity_cm2_s",
    "charge D of Li, cm²/s": "li_charge_diffusivity_cm2_s",
    "σ Nernst–Einstein, mS/cm": "conductivity_mS_cm",
    "σ Einstein, Li, mS/cm": "conductivity_einstein_mS_cm",
    "σ Einstein, all ions, mS/cm": "conductivity_all_ions_mS_cm",
    "Haven ratio": "haven_ratio",
    "D in the second half of the runs over the first": "ageing_ratio",
    "activation energy, eV": "activation_energy_eV",
    "σ(298 K), Nernst–Einstein, mS/cm": "conductivity_298K_mS_cm",
    "probability that ln D bends": "vogel_fulcher_probability",
    "glass transition by the energy, K": "glass_transition_K",
    "glass transition by the volume, K": "glass_transition_by_volume_K",
    "hop rate, 1/ps": "li_hop_rate_per_ps",
    "hop length, Å": "li_hop_length_A",
    "median residence, ps": "li_residence_time_ps",
    "hops undone by the next": "li_back_hop_fraction",
    "correlation factor of hops": "li_correlation_factor",
    "hop rate near O over near Cl only": "li_hop_rate_ratio_o",
    "O among anions of Li, at rest": "li_o_share_resting",
    "O among anions of Li, in a hop": "li_o_share_hopping",
    "percolation in 3 directions, eV": "li_percolation_3d_eV",
}
Row = dict
Found = dict[tuple[str, float | None], Row]


def read(path: Path) -> Found:
    """Return the rows of a result by name and temperature; empty where the file is not there."""
    if not path.exists():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))["quantities"]
    return {(row["name"], row.get("temperature_K")): row for row in rows}


def number(value: float, error: float | None) -> str:
    """Return value ± error with two digits of the error."""
    size = abs(value) if error is None else max(abs(value), error)
    power = math.floor(math.log10(size)) if size and not 1e-3 <= size < 1e5 else 0
    value, error = value / 10**power, None if error is None else error / 10**power
    smallest = error if error else abs(value)
    digits = max(0, 1 - math.floor(math.log10(smallest))) if smallest else 2
    text = f"{value:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
    return f"({text})e{power}" if power and error is not None else f"{text}e{power}" if power else text


def cell(found: Found, name: str, kelvin: float | None) -> str:
    """Return what a table says about one number."""
    row = found.get((name, kelvin))
    if row is None:
        return "–"
    if str(row["method"]).startswith("upper bound"):
        return f"< {number(row['value'], None)} (95 %; n = {row['n_independent']})"
    if name == "conductivity_298K_mS_cm":
        ends = [
            found[f"conductivity_298K_{end}_mS_cm", None]["value"] for end in ("68_low", "68_high", "95_low", "95_high")
        ]
        return "{:.2g}; 68 %: {:.2g} to {:.2g}; 95 %: {:.2g} to {:.2g}".format(row["value"], *ends)
    return f"{number(row['value'], row['standard_error'])} (n = {row['n_independent']})"


def ratio(found: dict[str, Found], name: str, kelvin: float) -> str:
    """Return glass over crystal."""
    pair = [found[kind].get((name, kelvin)) for kind in KINDS]
    if any(row is None or not row["standard_error"] for row in pair):
        return "–"
    value = pair[0]["value"] / pair[1]["value"]
    return number(value, value * math.hypot(*(row["standard_error"] / row["value"] for row in pair))) + " times"


def main(results: Path) -> None:
    """Write RESULTS/table.md."""
    found = {
        kind: read(results / f"transport-{kind}.json") | read(results / f"mechanism-{kind}.json") for kind in KINDS
    }
    keys = {key for each in found.values() for key in each}
    lines = ["| | K | " + " | ".join(KINDS.values()) + " | published, or glass over crystal |", "|---|---|---|---|---|"]
    for title, name in ROWS.items():
        for kelvin in sorted((k for n, k in keys if n == name), key=lambda k: k or 0.0):
            beside = " / ".join(PUBLISHED[name, kelvin]) if (name, kelvin) in PUBLISHED else ""
            if kelvin and name.startswith(("li_diffusivity", "conductivity")):
                beside = ratio(found, name, kelvin)
            cells = [cell(found[kind], name, kelvin) for kind in KINDS]
            lines.append(f"| {title} | {'' if kelvin is None else f'{kelvin:g}'} | {' | '.join(cells)} | {beside} |")
    lines += ["", "| attempt frequency, THz | Li | O | Cl | Zr |", "|---|---|---|---|---|"]
    for title, file in (
        ("glass, MD at 600 K", "vibrations-glass"),
        ("crystal, MD at 300 K", "vibrations-crystal"),
        ("crystal, harmonic, by phonopy", "phonons-crystal"),
    ):
        rows = read(results / f"{file}.json")
        values = [rows.get((f"{e}_attempt_frequency_THz", None)) for e in ("li", "o", "cl", "zr")]
        lines.append(f"| {title} | " + " | ".join("–" if r is None else f"{r['value']:.2f}" for r in values) + " |")
    sizes = {int(p.stem.split("-")[1]): read(p) for p in results.glob("size-*-atoms.json")}
    if sizes:
        lines += ["", "| glass, 700 K, atoms | D of Li, cm²/s |", "|---|---|"]
        lines += [f"| {n} | {cell(sizes[n], 'li_diffusivity_cm2_s', 700.0)} |" for n in sorted(sizes)]
    (results / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
