"""Configuration of Theano for this project. Importing this package does not import Theano."""

from .compiler import DURATION_IN_PYTHON, refuse_missing_compiler, work_without_compiler
from .configuration import configure, ensure_configured, resolve_device

__all__ = ["configure", "ensure_configured", "resolve_device", "DURATION_IN_PYTHON",
           "refuse_missing_compiler", "work_without_compiler"]
