#!/usr/bin/env bash
# Make .venv and install hsi-cd into it, with the versions of constraints.txt.
#   bash scripts/setup.sh [cpu] [dev] [tensorboard] ...
#     cpu: torch without CUDA (0.2 GB in place of 2.7); dev: what the tests need; any other extra of pyproject.toml
# A .venv that is broken, half-made, or of another Python than PYTHON names, is made anew.
set -euo pipefail
cd "$(dirname "$0")/.."
cpu=
extras=
for word in "$@"; do
  if [ "$word" = cpu ]; then
    cpu=yes
  elif grep -q "^$word = \[\$" pyproject.toml; then
    extras=${extras:+$extras,}$word
  else
    echo "setup.sh: $word is no extra of pyproject.toml: give cpu, dev, docs, slurm, tensorboard or xarray" >&2
    exit 2
  fi
done
python=${PYTHON:-python3}
version='import sys; print("%d.%d" % sys.version_info[:2])'
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
unfinished=.venv/.installing # there while something is being installed

# Why the .venv that is there cannot be used; nothing where it can.
fault() {
  if ! .venv/bin/python -c "$new_enough" 2>/dev/null; then
    echo "its Python is broken or older than 3.11"
  elif ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "it has no pip"
  elif [ -e "$unfinished" ]; then
    echo "an installation into it was interrupted"
  elif [ -n "${PYTHON:-}" ] && [ "$(.venv/bin/python -c "$version")" != "$("$PYTHON" -c "$version" 2>/dev/null)" ]; then
    echo "it has Python $(.venv/bin/python -c "$version"), not that of PYTHON=$PYTHON"
  fi
}

# Installing again is only needed when what is to be installed has changed.
stamp=".venv/.installed${cpu:+-cpu}${extras:+-$extras}"
wanted=$(cat pyproject.toml constraints.txt | sha256sum | cut -d' ' -f1)
why=
[ -e .venv ] || [ -L .venv ] && why=$(fault)
if [ -z "$why" ] && [ -x .venv/bin/hsi-cd ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
if [ -n "$why" ] || [ ! -e .venv ]; then
  if ! "$python" -c "$new_enough" 2>/dev/null; then
    echo "hsi-cd needs Python 3.11 or later; $python is $("$python" --version 2>&1 || true). Set PYTHON=/path/to/python3.11" >&2
    exit 2
  fi
  [ -z "$why" ] || echo "== .venv is removed and made anew: $why"
  rm -rf .venv
  echo "== making .venv with $("$python" --version 2>&1)"
  "$python" -m venv .venv
fi
touch "$unfinished"
install=(.venv/bin/python -m pip install --disable-pip-version-check)
if [ -n "$cpu" ]; then
  torch=$(grep '^torch==' constraints.txt)
  echo "== installing $torch for the CPU (0.2 GB)"
  "${install[@]}" "$torch" --index-url https://download.pytorch.org/whl/cpu
fi
echo "== installing hsi-cd${extras:+ with $extras} (once; some minutes on a slow network)"
"${install[@]}" -c constraints.txt -e ".${extras:+[$extras]}"
echo "$wanted" > "$stamp"
rm "$unfinished"
echo "== done: source .venv/bin/activate, then hsi-cd --help"
