"""One training step of the Bayesian word-level language model of Penn Treebank (LCCL) in PyTorch.

    python torch_word_lm.py 5
    python torch_word_lm.py --nn-lstm 5

10,000 words, 256 hidden units, 32 streams of 35 steps; weights are sampled once per step, the state is carried over;
forward, backward, gradient norm of at most 10, Adam. The recurrence is a loop over the time steps or, with --nn-lstm,
torch.nn.LSTM with the sampled weights, for which PyTorch uses cuDNN on a GPU.
"""

import protocol
import torch
import torch.nn.functional as F
from torch_layers import NormalPosterior, total_kl

WORDS, HIDDEN, LENGTH, STREAMS, TRAINING_TOKENS = 10000, 256, 35, 32, 929589


class WordModel(torch.nn.Module):
    """An LSTM on one-hot words and a softmax layer; all weights are variational.

    Parameters
    ----------
    device : str
    nn_lstm : bool
        Compute the recurrence with `torch.nn.LSTM`.
    """

    def __init__(self, device, nn_lstm):
        super().__init__()

        def orthogonal(*shape):
            return NormalPosterior(torch.nn.init.orthogonal_(torch.empty(*shape, device=device)))
        self.W_in, self.W_hid = orthogonal(WORDS, 4 * HIDDEN), orthogonal(HIDDEN, 4 * HIDDEN)
        self.W_out = orthogonal(HIDDEN, WORDS)
        bias = torch.zeros(4, HIDDEN, device=device)
        bias[1] = 1                                             # of the forget gates
        self.bias = torch.nn.Parameter(bias.view(-1))
        self.bias_out = torch.nn.Parameter(torch.zeros(WORDS, device=device))
        self.lstm = None
        if nn_lstm:
            # Words are one-hot, so their rows of W_in are the input, multiplied by the weights already.
            self.lstm = torch.nn.LSTM(4 * HIDDEN, HIDDEN, bias=False, device=device).requires_grad_(False)
            torch.nn.init.eye_(self.lstm.weight_ih_l0)

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
        projected, W_hid = F.embedding(tokens, self.W_in.sample()) + self.bias, self.W_hid.sample()
        if self.lstm is None:
            hidden, state = looped_lstm(projected, W_hid, state)
        else:
            weights = dict(self.lstm.named_parameters(), weight_hh_l0=W_hid.t().contiguous())
            hidden, state = torch.func.functional_call(
                self.lstm, weights, (projected, tuple(part.unsqueeze(0) for part in state)))
            state = tuple(part.squeeze(0) for part in state)
        return hidden.flatten(0, 1) @ self.W_out.sample() + self.bias_out, state


def looped_lstm(projected, W_hid, state):
    """Return the outputs ``(T, B, H)`` and the final state for inputs times input weights, ``(T, B, 4H)``."""
    (h, c), hidden = state, []
    for preactivation in projected.unbind(0):
        i, f, g, o = (preactivation + h @ W_hid).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        hidden.append(h)
    return torch.stack(hidden), (h, c)


def make_step(arguments):
    """Return the training step, on one random minibatch."""
    model = WordModel(arguments.device, arguments.nn_lstm)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=2e-3)
    tokens = torch.randint(WORDS, (LENGTH + 1, STREAMS), device=arguments.device)
    state = (torch.zeros(STREAMS, HIDDEN, device=arguments.device),) * 2

    def step():
        nonlocal state
        optimizer.zero_grad()
        scores, final_state = model(tokens[:-1], state)
        loss = F.cross_entropy(scores, tokens[1:].flatten()) + total_kl(model) / (TRAINING_TOKENS - STREAMS)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 10.)
        optimizer.step()
        state = tuple(part.detach() for part in final_state)
        return loss.detach()
    return step


if __name__ == "__main__":
    created = protocol.parser(__doc__)
    created.add_argument("--nn-lstm", action="store_true", help="torch.nn.LSTM instead of a loop over the time steps")
    protocol.run_torch(created, make_step)
