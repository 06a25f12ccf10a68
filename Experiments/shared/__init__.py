"""What all experiments share: data, command line, training loop, checkpoints, plots."""
