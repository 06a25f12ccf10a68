"""One training step of the Bayesian text classifier of IMDB in PyTorch.

    python torch_sparse_vd.py LLLCCL 5

Vocabulary 20,003, embedding 300, 128 hidden units, 128 texts of 200 tokens; forward, backward, Adam. CONFIG is LLLCCL
(group variables of the vocabulary) or LCLCCL (individual weights alone).
"""

import protocol
import torch
import torch.nn.functional as F
from torch_layers import NormalPosterior, total_kl

WORDS, EMBEDDING, HIDDEN, LENGTH, TEXTS, TRAINING_TEXTS = 20003, 300, 128, 200, 128, 21250


class TextClassifier(torch.nn.Module):
    """Embedding, LSTM with hard sigmoid gates, one sigmoid unit with local reparametrisation."""

    def __init__(self, config, device):
        super().__init__()
        init = torch.nn.init

        def empty(*shape):
            return torch.empty(*shape, device=device)
        self.embedding = NormalPosterior(init.uniform_(empty(WORDS, EMBEDDING), -0.05, 0.05))
        self.z_words = NormalPosterior(init.ones_(empty(WORDS))) if config[1] == "L" else None
        self.W_in = NormalPosterior(init.xavier_uniform_(empty(EMBEDDING, 4 * HIDDEN)))
        self.W_hid = NormalPosterior(init.orthogonal_(empty(HIDDEN, 4 * HIDDEN), gain=1.1))
        self.W_out = NormalPosterior(init.xavier_uniform_(empty(HIDDEN, 1)))
        bias = init.zeros_(empty(4, HIDDEN))
        bias[1] = 1                                             # of the forget gates
        self.bias = torch.nn.Parameter(bias.view(-1))
        self.bias_out = torch.nn.Parameter(init.zeros_(empty(1)))

    def forward(self, tokens, mask):
        """Return the probability of the positive class.

        Parameters
        ----------
        tokens, mask : torch.Tensor
            ``(T, B)``; mask is boolean.

        Returns
        -------
        torch.Tensor
            ``(B,)``
        """
        length, texts = tokens.shape
        embedded = F.embedding(tokens, self.embedding.sample())                     # (T, B, E)
        if self.z_words is not None:
            # One sample for each text and word; a word has the same sample at all its positions.
            noise = torch.randn(WORDS, texts, device=tokens.device).gather(0, tokens)
            z = self.z_words.mean[tokens] + noise * self.z_words.log_sigma[tokens].exp()
            embedded = embedded * z.unsqueeze(-1)
        projected = (embedded.view(length * texts, -1) @ self.W_in.sample() + self.bias).view(length, texts, -1)
        W_hid = self.W_hid.sample()
        h = c = projected.new_zeros(texts, HIDDEN)
        for time, seen in zip(projected.unbind(0), mask.unsqueeze(-1).unbind(0)):
            i, f, g, o = (time + h @ W_hid).chunk(4, 1)
            new_c = hard_sigmoid(f) * c + hard_sigmoid(i) * torch.tanh(g)
            new_h = hard_sigmoid(o) * torch.tanh(new_c)
            h, c = torch.where(seen, new_h, h), torch.where(seen, new_c, c)
        mean = h @ self.W_out.mean + self.bias_out
        deviation = torch.sqrt(h ** 2 @ torch.exp(2 * self.W_out.log_sigma) + 1e-8)
        return torch.sigmoid(mean + deviation * torch.randn_like(mean)).squeeze(1)


def hard_sigmoid(x):
    """Return clip(0.2 x + 0.5, 0, 1); PyTorch's own has the slope 1/6."""
    return torch.clamp(0.2 * x + 0.5, 0, 1)


def make_step(arguments):
    """Return the training step, on one random minibatch."""
    model = TextClassifier(arguments.config, arguments.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    tokens = torch.randint(WORDS, (LENGTH, TEXTS), device=arguments.device)
    labels = torch.randint(2, (TEXTS,), device=arguments.device).float()
    mask = torch.ones_like(tokens, dtype=torch.bool)

    def step():
        optimizer.zero_grad()
        probability = model(tokens, mask).clamp(1e-6, 1 - 1e-6)
        loss = F.binary_cross_entropy(probability, labels) + total_kl(model) / TRAINING_TEXTS
        loss.backward()
        optimizer.step()
        return loss.detach()
    return step


if __name__ == "__main__":
    created = protocol.parser(__doc__)
    created.add_argument("config", metavar="CONFIG", choices=("LLLCCL", "LCLCCL"))
    protocol.run_torch(created, make_step)
