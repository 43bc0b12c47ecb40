#!/usr/bin/env bash
# Does D depend on the size of the cell? Glasses of Li3ZrCl4O1.5 of 114 and 456 atoms at 700 K, as run.sh makes those of 228.
#
#   bash sizes.sh DIR        stop it at any time; the same command goes on where it stopped
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
MLSIM=${MLSIM:-mlsim}

glass() { # atoms, number
  local dir=$out/atoms_$1/glass_$2
  mkdir -p "$dir"
  [ -e "$dir/packed.extxyz" ] || $MLSIM pack Li3ZrCl4O1.5 --atoms "$1" --density-g-cm3 1.9 --seed "$2" -o "$dir/packed.extxyz"
  [ -e "$dir/quench/result.json" ] || $MLSIM quench "$dir/packed.extxyz" --potential lzoc-base --schedule "$here/quench.yaml" --seed "$2" -o "$dir/quench"
  [ -e "$dir/md_700K/result.json" ] || $MLSIM md "$dir/quench/glass.extxyz" --potential lzoc-base --temperature-K 700 --time-ps 60 --equilibration-ps 5 \
    --timestep-fs 3 --interval-ps 0.06 --seed "$2" -o "$dir/md_700K"
}

glass 114 1; glass 456 1; glass 114 2; glass 114 3; glass 456 2; glass 114 4
