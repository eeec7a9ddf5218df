#!/usr/bin/env bash
# Runs every command of README and docs in a scratch copy of the repository, and says what it leaves
# out and why. SIAMJAX_DEMO=FOLDER takes a finished demo instead of training one.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-.venv/bin/python}" docs/commands.py "$@"
