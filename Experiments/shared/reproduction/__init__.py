"""Reproduction of the published tables: their rows, runs and numbers. ``Experiments/reproduce.py`` is the program."""
