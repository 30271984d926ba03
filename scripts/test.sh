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
echo "== docs"
mkdir -p build
# They go on beside the site and the tests, so that neither core waits for the other; at the end they are told.
{ .venv/bin/mypy --num-workers 2 && .venv/bin/lint-imports; } > build/checks.log 2>&1 &
checks=$!
trap 'kill "$checks" 2>/dev/null || true' EXIT
# The tests look at this very site, so that it is built once.
export HSI_CD_SITE=$PWD/build/site
NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet --site-dir "$HSI_CD_SITE"
echo "== tests"
# worksteal: neighbouring tests stay in one process, which then makes what they share once.
tests=0
.venv/bin/pytest -q -n 2 --dist worksteal "${arguments[@]}" || tests=$?
echo "== types and layers, which went on beside"
wait "$checks" || { cat build/checks.log; exit 1; }
cat build/checks.log
exit "$tests"
