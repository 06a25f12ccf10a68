"""Weights with a normal posterior and a log-uniform prior, in PyTorch."""

import torch
import torch.nn.functional as F

__all__ = ["NormalPosterior", "total_kl"]


class NormalPosterior(torch.nn.Module):
    """Means and log standard deviations of a weight matrix or of group variables.

    Parameters
    ----------
    mean : torch.Tensor
        Initial means. The logarithms of the standard deviations start at -3.
    """

    def __init__(self, mean):
        super().__init__()
        self.mean = torch.nn.Parameter(mean)
        self.log_sigma = torch.nn.Parameter(torch.full_like(mean, -3.))

    def sample(self):
        """Return a reparametrised sample."""
        return self.mean + torch.randn_like(self.mean) * self.log_sigma.exp()

    def kl(self):
        """Return the approximate KL divergence; Molchanov et al., arXiv 1701.05369, equation 14, with k1 = 0.64."""
        log_alpha = torch.clamp(2 * (self.log_sigma - torch.log(self.mean.abs() + 1e-20)), -8, 8)
        return (0.5 * F.softplus(-log_alpha) - 0.64 * torch.sigmoid(1.5 * (log_alpha + 1.3)) - 0.03).sum()


def total_kl(module):
    """Return the sum of the KL divergences of all posteriors in a module."""
    return sum(part.kl() for part in module.modules() if isinstance(part, NormalPosterior))
