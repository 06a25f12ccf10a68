#!/usr/bin/env bash
# Puts the corpora into data/penn and data/wikitext-2; `./getdata.sh --help` says how.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
for python in "$root"/venv/bin/python "$root"/venv-theano-*/bin/python python3; do
    if "$python" -c 'import numpy' 2>/dev/null; then
        exec "$python" -m Experiments.shared.data.getdata "$@"
    fi
done
echo "error: found no Python with the project's packages; run $root/setup_env.sh first" >&2
exit 2
