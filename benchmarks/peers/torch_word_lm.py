"""One training step of the Bayesian word-level language model of Penn Treebank (LCCL) in PyTorch.

    python torch_word_lm.py 5

10,000 words, 256 hidden units, 32 streams of 35 steps; weights are sampled once per step, the state is carried over;
forward, backward, gradient norm of at most 10, Adam.
"""

import protocol
import torch
import torch.nn.functional as F
from torch_layers import NormalPosterior, total_kl

WORDS, HIDDEN, LENGTH, STREAMS, TRAINING_TOKENS = 10000, 256, 35, 32, 929589


class WordModel(torch.nn.Module):
    """An LSTM on one-hot words and a softmax layer; all weights are variational."""

    def __init__(self, device):
        super().__init__()

        def orthogonal(*shape):
            return NormalPosterior(torch.nn.init.orthogonal_(torch.empty(*shape, device=device)))
        self.W_in, self.W_hid = orthogonal(WORDS, 4 * HIDDEN), orthogonal(HIDDEN, 4 * HIDDEN)
        self.W_out = orthogonal(HIDDEN, WORDS)
        bias = torch.zeros(4, HIDDEN, device=device)
        bias[1] = 1                                             # of the forget gates
        self.bias = torch.nn.Parameter(bias.view(-1))
        self.bias_out = torch.nn.Parameter(torch.zeros(WORDS, device=device))

    def forward(self, tokens, state):
        """Return the scores of the next words.

        Parameters
        ----------
        tokens : torch.Tensor
            ``(T, B)``
        state : tuple of torch.Tensor
            h and c, ``(B, H)`` each.

        Returns
        -------
        scores : torch.Tensor
            ``(T * B, V)``
        state : tuple of torch.Tensor
        """
        h, c = state
        hidden, W_hid = [], self.W_hid.sample()
        for projected in (F.embedding(tokens, self.W_in.sample()) + self.bias).unbind(0):
            i, f, g, o = (projected + h @ W_hid).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            hidden.append(h)
        return torch.cat(hidden) @ self.W_out.sample() + self.bias_out, (h, c)


def make_step(arguments):
    """Return the training step, on one random minibatch."""
    model = WordModel(arguments.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    tokens = torch.randint(WORDS, (LENGTH + 1, STREAMS), device=arguments.device)
    state = (torch.zeros(STREAMS, HIDDEN, device=arguments.device),) * 2

    def step():
        nonlocal state
        optimizer.zero_grad()
        scores, final_state = model(tokens[:-1], state)
        loss = F.cross_entropy(scores, tokens[1:].flatten()) + total_kl(model) / (TRAINING_TOKENS - STREAMS)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.)
        optimizer.step()
        state = tuple(part.detach() for part in final_state)
        return loss.detach()
    return step


if __name__ == "__main__":
    protocol.run_torch(protocol.parser(__doc__), make_step)
