"""Configuration of Theano for this project. Importing this package does not import Theano."""

from .compiler import refuse_missing_compiler, work_without_compiler
from .configuration import configure, ensure_configured, resolve_device

__all__ = ["configure", "ensure_configured", "resolve_device", "refuse_missing_compiler", "work_without_compiler"]
