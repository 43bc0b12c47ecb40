#!/usr/bin/env bash
# Molecular dynamics of the transport study: glasses of Li3ZrCl4O1.5 and the crystal Li2ZrCl6, both with lzoc-base.
#
#   bash run.sh DIR          stop it at any time; the same command goes on where it stopped
#
# One process, 3 to 4 ms a step: some 1.5 hours on an idle core for all of it. Needs mlsim on the path (or MLSIM="python -m ...").
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
  [ -e "$dir/quench/result.json" ] || $MLSIM quench "$dir/packed.extxyz" --potential lzoc-base --schedule "$here/quench.yaml" --seed "$1" -o "$dir/quench"
}

md() { # start, folder, temperature in K, time in ps, seed; at the volume of the start: see README.md
  [ -e "$2/result.json" ] || $MLSIM md "$1" --potential lzoc-base --temperature-K "$3" --time-ps "$4" --equilibration-ps 5 \
    --timestep-fs 3 --interval-ps 0.06 --seed "$5" -o "$2"
}

vibrations_of() { # name, start, temperature in K
  [ -e "$out/vibrations/$1/result.json" ] || $MLSIM md "$2" --potential lzoc-base --temperature-K "$3" --time-ps 12 --equilibration-ps 5 \
    --timestep-fs 2 --interval-ps 0.01 --seed 1 -o "$out/vibrations/$1"
}

glass_at() { md "$out/glass_$1/quench/glass.extxyz" "$out/glass_$1/md_$2K" "$2" "$3" "$1"; }
crystal_at() { md "$out/li2zrcl6.extxyz" "$out/crystal_$1/md_$2K" "$2" "$3" "$1"; }

[ -e "$out/li2zrcl6.extxyz" ] || $PYTHON "$here/crystal.py" "$out/li2zrcl6.extxyz"
# useful parts first: two glasses and one crystal where few ps suffice
glass 1; glass 2
crystal_at 1 700 60; glass_at 1 700 60; glass_at 1 800 42; crystal_at 1 800 42
glass_at 1 600 81; crystal_at 1 600 81
for t in "700 60" "800 42" "600 81"; do glass_at 2 $t; done
# the coldest, where Li moves as t^0.7 for tens of ps; then more glasses and runs
glass_at 1 550 300; glass 3; for t in "700 60" "600 81"; do glass_at 3 $t; done
crystal_at 1 550 300; glass_at 2 550 300
glass 4; for t in "700 60" "600 81"; do glass_at 4 $t; done
for s in 2 3; do for t in "700 60" "600 81"; do crystal_at $s $t; done; done
glass_at 3 550 300; crystal_at 2 550 300; glass_at 4 550 300; crystal_at 3 550 300
for g in 3 4; do glass_at $g 800 42; done
for s in 2 3; do crystal_at $s 800 42; done
# frames close enough for velocities
vibrations_of glass_1 "$out/glass_1/quench/glass.extxyz" 600
vibrations_of crystal_1 "$out/li2zrcl6.extxyz" 300
