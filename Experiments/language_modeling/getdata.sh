#!/usr/bin/env bash
# Prepare data/penn, data/wikitext-2 and own text; see `./getdata.sh --help`.
set -euo pipefail

here=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
for python in "$root"/venv/bin/python "$root"/venv-theano-*/bin/python python3; do
    if "$python" -c 'import numpy' 2>/dev/null; then
        exec "$python" "$here/prepare_data.py" "$@"
    fi
done
echo "error: found no Python with the project's packages; run $root/setup_env.sh first" >&2
exit 2
