"""The JSON file of results, with a description of the machine."""

import ctypes
import json
import os
import platform
import subprocess
from collections import OrderedDict

from theano_rnn.npz_store import write_atomically

__all__ = ["Results", "machine"]


class Results(object):
    """Figures by part and name in a JSON file. The file is rewritten after each new entry.

    Parameters
    ----------
    path : str, optional
        A new file, or a file with earlier results, which are kept. Without it, nothing is written.

    Attributes
    ----------
    parts : OrderedDict of str to OrderedDict
        Part to name to figures (a dict), in the order in which they were measured.
    """

    def __init__(self, path=None):
        self.path, self.parts = path, OrderedDict()
        if path and os.path.exists(path):
            with open(path) as stream:
                self.parts = json.load(stream, object_pairs_hook=OrderedDict)["parts"]

    def record(self, part, name, figures):
        """Add figures, or replace the figures of the same name."""
        found = machine()
        self.parts.setdefault(part, OrderedDict())[name] = OrderedDict(figures, git_commit=found["git_commit"])
        if self.path:
            content = OrderedDict([("machine", found), ("parts", self.parts)])
            write_atomically(self.path, json.dumps(content, indent=1) + "\n")


def machine():
    """Return a description of hardware and software: OrderedDict. Theano must be configured."""
    import theano_rnn.lasagne_compat  # noqa: F401  (without it, versions() cannot import Lasagne)

    from Experiments.shared.run_folder import versions
    with open("/proc/cpuinfo") as stream:
        model = next((line.split(":")[1].strip() for line in stream if line.startswith("model name")), "unknown")
    found = OrderedDict([
        ("processor", model), ("cores", len(os.sched_getaffinity(0))),
        ("memory_gb", round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)),
        ("kernel", platform.release()), ("openblas", _openblas()),
        ("openblas_coretype", os.environ.get("OPENBLAS_CORETYPE", "automatic")),
        ("compiler", _compiler())])
    found.update(versions())
    return found


def _compiler():
    try:
        return subprocess.check_output(["g++", "--version"]).decode().split("\n")[0]
    except OSError:
        return "none"


def _openblas():
    """Return the configuration string of the OpenBLAS library that Theano links."""
    try:
        config = ctypes.CDLL("libopenblas.so.0").openblas_get_config
    except OSError:
        return "unknown"
    config.restype = ctypes.c_char_p
    return config().decode().strip()
