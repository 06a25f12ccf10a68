"""Common code of the experiments: settings, command lines, training loop, checkpoints, tasks, data, plots."""
