"""Exit with status 0 if the dynamic loader finds the shared library that is named as the argument, else with 1."""

import ctypes
import sys


def can_load(name):
    """Return whether the loader finds a library, for example ``libcuda.so.1``."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(0 if can_load(sys.argv[1]) else 1)
