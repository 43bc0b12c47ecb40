#!/usr/bin/env bash
# Analyse what run.sh has finished so far: bash analyse.sh RUNS RESULTS
set -euo pipefail
runs=$1
results=$2
MLSIM=${MLSIM:-mlsim}
mkdir -p "$results"
shopt -s nullglob

for kind in glass crystal; do
  # every temperature lists its glasses in the same order
  files=()
  for name in $(ls "$runs/${kind}"_* | grep '^md_' | sort -u); do
    for f in "$runs/${kind}"_*/"$name"/trajectory.h5; do
      if [ -e "$(dirname "$f")/result.json" ]; then files+=("$f"); fi
    done
  done
  quench=()
  if [ $kind = glass ]; then quench=(--quench "$runs"/glass_*/quench/thermo.csv); fi
  $MLSIM transport "${files[@]}" "${quench[@]}" -o "$results/transport-$kind.json" --figure "$results/transport-$kind.png" --force
  $MLSIM mechanism "${files[@]}" -o "$results/mechanism-$kind.json" --figure "$results/mechanism-$kind.png" --force
done
