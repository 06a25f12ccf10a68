"""Training of the parameters of a random variable: Kullback-Leibler divergence, gradient norms, Adam."""

from .reference import log_alpha, log_uniform_kl, normal_kl

__all__ = ["log_alpha", "log_uniform_kl", "normal_kl"]
