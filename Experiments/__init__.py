"""The experiments: one folder per data set or task, and `Experiments.shared`, what they have in common."""
