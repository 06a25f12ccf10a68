"""Benchmarks: speed and memory of training and prediction, on CPU and GPU."""
