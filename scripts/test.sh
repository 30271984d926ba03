#!/usr/bin/env bash
# Set up if needed, then every check: format, lint, types, layers contract, documentation, tests.
#   bash scripts/test.sh [--slow] [further arguments of pytest]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh dev
# Small products on several threads wait for each other more than they compute; two processes do better.
export OMP_NUM_THREADS=1
# Many tests start Python, which compiles the package once, whatever the machine's habit is; pip has compiled the rest.
unset PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX
arguments=()
for argument in "$@"; do
  if [ "$argument" = "--slow" ]; then
    arguments+=(-m "slow or not slow")
    export HSI_CD_EXAMPLES=thorough # five times as many examples of each property
  else
    arguments+=("$argument")
  fi
done

echo "== format and lint"
.venv/bin/ruff format --check .
.venv/bin/ruff check .
echo "== types, layers, docs"
mkdir -p build
# One core checks while the other builds.
{ .venv/bin/mypy --num-workers 2 && .venv/bin/lint-imports; } > build/checks.log 2>&1 &
checks=$!
# The tests look at this very site, so that it is built once.
export HSI_CD_SITE=$PWD/build/site
NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet --site-dir "$HSI_CD_SITE"
wait "$checks" || { cat build/checks.log; exit 1; }
cat build/checks.log
echo "== tests"
# worksteal: neighbouring tests stay in one process, which then makes what they share once.
.venv/bin/pytest -q -n 2 --dist worksteal "${arguments[@]}"
