"""The experiments: one folder per data set or task, and `Experiments.shared` with their common code."""
