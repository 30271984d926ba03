#!/usr/bin/env bash
# The main job on a simulated scene: set up, simulate, train on 1 % of the labels, predict, evaluate.
#   bash scripts/demo.sh [FOLDER]      FOLDER (default: demo) takes the outputs and must not exist
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-demo}
if [ -e "$out" ]; then
  echo "$out exists: remove it, or name another folder: bash scripts/demo.sh OTHER" >&2
  exit 2
fi
bash scripts/setup.sh
hsi() { echo; echo "\$ hsi-cd $*"; .venv/bin/hsi-cd "$@"; }

mkdir -p "$out"
hsi simulate "$out/scene"
hsi train --t1 "$out/scene/t1.tif" --t2 "$out/scene/t2.tif" --truth "$out/scene/truth.tif" --run "$out/run"
hsi predict --checkpoint "$out/run/best.pt" --t1 "$out/scene/t1.tif" --t2 "$out/scene/t2.tif" \
  --output "$out/change.tif" --score "$out/score.tif"
hsi evaluate "$out/change.tif" --truth "$out/scene/truth.tif" --exclude "$out/run/split.npz" --json "$out/scores.json"

cat <<END

Done. Open these:
  $out/change.tif         the change map (0 unchanged, 1 changed, 255 no data), for any GIS
  $out/score.tif          change probabilities
  $out/run/figure.png     both dates, score, change map, truth, errors
  $out/run/result.json    protocol, seed, counts, all scores, seconds, versions
END
