"""Configuration of Theano for this project. Importing this package does not import Theano."""

from .configuration import configure, ensure_configured, resolve_device

__all__ = ["configure", "ensure_configured", "resolve_device"]
