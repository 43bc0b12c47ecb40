#!/usr/bin/env bash
# Molecular dynamics of the transport study: glasses of Li3ZrCl4O1.5 and the crystal Li2ZrCl6, both with lzoc-base.
#
#   bash run.sh DIR          stop it at any time; the same command goes on where it stopped
#
# One process, 3 to 4 ms a step: about 2 hours on one core. Needs mlsim on the path (or MLSIM="python -m ...").
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
MLSIM=${MLSIM:-mlsim}
PYTHON=${PYTHON:-python}
mkdir -p "$out"

glass() { # number
  local dir=$out/glass_$1
  mkdir -p "$dir"
  [ -e "$dir/packed.extxyz" ] || $MLSIM pack Li3ZrCl4O1.5 --atoms 228 --density-g-cm3 1.9 --seed "$1" -o "$dir/packed.extxyz"
  [ -e "$dir/quench/result.json" ] || $MLSIM quench "$dir/packed.extxyz" --schedule "$here/quench.yaml" --seed "$1" -o "$dir/quench"
}

md() { # start, folder, temperature in K, time in ps, seed
  [ -e "$2/result.json" ] || $MLSIM md "$1" --temperature-K "$3" --time-ps "$4" --equilibration-ps 10 --ensemble npt \
    --timestep-fs 3 --interval-ps 0.06 --seed "$5" -o "$2"
}

glass_at() { md "$out/glass_$1/quench/glass.extxyz" "$out/glass_$1/md_$2K" "$2" "$3" "$1"; }
crystal_at() { md "$out/li2zrcl6.extxyz" "$out/crystal_$1/md_$2K" "$2" "$3" "$1"; }

[ -e "$out/li2zrcl6.extxyz" ] || $PYTHON "$here/crystal.py" "$out/li2zrcl6.extxyz"
# useful parts first: two glasses at three temperatures beside the crystal, then more of each
glass 1; glass_at 1 550 150
glass 2; glass_at 2 550 150
crystal_at 1 600 150
for g in 1 2; do glass_at $g 450 210; done
crystal_at 1 700 120
crystal_at 1 500 210
for g in 1 2; do glass_at $g 500 180; done
crystal_at 1 800 120
for g in 3 4; do glass $g; glass_at $g 550 150; glass_at $g 450 210; glass_at $g 500 180; done
for t in 600 700 500 800; do crystal_at 2 $t 150; done
for g in 1 2 3 4; do glass_at $g 400 300; glass_at $g 600 120; done
