#!/usr/bin/env bash
# Make .venv and install hsi-cd into it, with the versions of constraints.txt.
#   bash scripts/setup.sh [dev]      dev: also what the tests need
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "hsi-cd needs Python 3.11 or later; $python is $("$python" --version 2>&1 || true). Set PYTHON=/path/to/python3.11" >&2
  exit 2
fi

# Installing again is only needed when what is to be installed has changed.
stamp=".venv/.installed${extra:+-$extra}"
wanted=$(cat pyproject.toml constraints.txt | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/hsi-cd ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
echo "Installing into .venv (once; a few minutes on a slow network) ..."
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".${extra:+[$extra]}"
echo "$wanted" > "$stamp"
