"""One training step of the AWD-LSTM language model of Penn Treebank in PyTorch, with its own LSTM.

    python torch_awd_lstm.py 1150 5

10,000 words, 20 streams of 70 steps, LSTMs of 400-NHID-NHID-400, tied decoder, weight drop, variational dropouts;
forward, backward, gradient norm of at most 0.25, SGD. Merity, Keskar, Socher, arXiv 1708.02182.
"""

import protocol
import torch
import torch.nn.functional as F

WORDS, EMBEDDING, LENGTH, STREAMS = 10000, 400, 70, 20
DROPOUT_WORDS, DROPOUT_INPUT, DROPOUT_HIDDEN, DROPOUT_OUTPUT, WEIGHT_DROP = 0.1, 0.4, 0.25, 0.4, 0.5


class AWDLSTM(torch.nn.Module):
    """Three LSTMs; the decoder shares the embedding's weights."""

    def __init__(self, hidden, device):
        super().__init__()
        sizes = (EMBEDDING, hidden, hidden, EMBEDDING)
        self.embedding = torch.nn.Parameter(torch.empty(WORDS, EMBEDDING, device=device).uniform_(-0.1, 0.1))
        self.bias = torch.nn.Parameter(torch.zeros(WORDS, device=device))
        self.lstms = torch.nn.ModuleList(torch.nn.LSTM(*pair, device=device) for pair in zip(sizes, sizes[1:]))

    def forward(self, tokens, states):
        """Return scores ``(T * B, V)``, the last LSTM's output before and after dropout, and the final states."""
        rows = dropped(self.embedding, DROPOUT_WORDS, (WORDS, 1))
        output, final_states = locked_dropout(F.embedding(tokens, rows), DROPOUT_INPUT), []
        for number, (lstm, state) in enumerate(zip(self.lstms, states), 1):
            weights = dict(lstm.named_parameters(), weight_hh_l0=F.dropout(lstm.weight_hh_l0, WEIGHT_DROP))
            raw, final_state = torch.func.functional_call(lstm, weights, (output, state))
            output = locked_dropout(raw, DROPOUT_OUTPUT if number == len(self.lstms) else DROPOUT_HIDDEN)
            final_states.append(tuple(part.detach() for part in final_state))
        return F.linear(output.flatten(0, 1), self.embedding, self.bias), raw, output, final_states

    def initial_states(self):
        """Return zeros of each LSTM."""
        return [(self.bias.new_zeros(1, STREAMS, lstm.hidden_size),) * 2 for lstm in self.lstms]


def dropped(x, p, mask_shape):
    """Return x with one dropout mask of this shape, broadcast."""
    return x * x.new_empty(mask_shape).bernoulli_(1 - p).div_(1 - p)


def locked_dropout(x, p):
    """Return x ``(T, B, F)`` with a dropout mask that is the same at all steps."""
    return dropped(x, p, (1,) + x.shape[1:])


def make_step(arguments):
    """Return the training step, on one random minibatch."""
    model = AWDLSTM(arguments.nhid, arguments.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=30., weight_decay=1.2e-6)
    tokens = torch.randint(WORDS, (LENGTH + 1, STREAMS), device=arguments.device)
    states = model.initial_states()

    def step():
        nonlocal states
        optimizer.zero_grad()
        scores, raw, output, states = model(tokens[:-1], states)
        loss = F.cross_entropy(scores, tokens[1:].flatten())
        (loss + 2 * output.pow(2).mean() + raw.diff(dim=0).pow(2).mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        return loss.detach()
    return step


if __name__ == "__main__":
    created = protocol.parser(__doc__)
    created.add_argument("nhid", metavar="NHID", type=int)
    protocol.run_torch(created, make_step)
