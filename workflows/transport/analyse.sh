#!/usr/bin/env bash
# Analyse what run.sh (and sizes.sh) have finished so far: bash analyse.sh RUNS RESULTS [RUNS_OF_SIZES]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
runs=$1
results=$2
sizes=${3:-$runs/sizes}
MLSIM=${MLSIM:-mlsim}
PYTHON=${PYTHON:-python}
mkdir -p "$results"
shopt -s nullglob

finished() { # folders of MD, in order: the trajectories of those that ended
  files=()
  for folder in "$@"; do
    if [ -e "$folder/result.json" ]; then files+=("$folder/trajectory.h5"); fi
  done
}

for kind in glass crystal; do
  folders=() # every temperature lists its glasses in the same order
  for kelvin in 550 600 700 800; do folders+=("$runs/${kind}"_?/md_${kelvin}K); done
  finished "${folders[@]}"
  quench=()
  if [ $kind = glass ]; then quench=(--quench "$runs"/glass_*/quench/thermo.csv); fi
  $MLSIM transport "${files[@]}" "${quench[@]}" -o "$results/transport-$kind.json" --figure "$results/transport-$kind.png" --force
  $MLSIM mechanism "${files[@]}" -o "$results/mechanism-$kind.json" --figure "$results/mechanism-$kind.png" --force
  finished "$runs/vibrations/${kind}"_?
  if [ ${#files[@]} -gt 0 ]; then
    $MLSIM vibrations "${files[@]}" -o "$results/vibrations-$kind.json" --figure "$results/vibrations-$kind.png" --force
  fi
done
if [ -e "$runs/li2zrcl6.extxyz" ] && [ ! -e "$results/phonons-crystal.json" ]; then
  $MLSIM vibrations --phonons "$runs/li2zrcl6.extxyz" --potential lzoc-base -o "$results/phonons-crystal.json" --figure "$results/phonons-crystal.png"
fi
for atoms in 114 228 456; do
  if [ $atoms = 228 ]; then finished "$runs"/glass_?/md_700K; else finished "$sizes/atoms_$atoms"/glass_?/md_700K; fi
  if [ ${#files[@]} -gt 0 ]; then $MLSIM transport "${files[@]}" -o "$results/size-$atoms-atoms.json" --force; fi
done
$PYTHON "$here/table.py" "$results"
echo "wrote $results/table.md"
