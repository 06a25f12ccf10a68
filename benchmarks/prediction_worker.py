"""Measurement of one predictor of text classes. `benchmarks/prediction.py` runs it in new processes.

    python benchmarks/prediction_worker.py numpy compressed.npz texts.json --repetitions 5
    python benchmarks/prediction_worker.py torch dense.npz --answer "a wonderful film"

The first command prints seconds and probabilities in JSON.

    numpy     the compressed model in bayes_rnn.predictor
    theano    the dense network with the pruned means as weights, compiled
    torch     the same dense network in PyTorch, with a loop over time because torch.nn.LSTM has no hard sigmoid

The file of the dense network has the format of compressed models, so that all three encode texts in the same way.
"""

import argparse
import json

import numpy as np

from bayes_rnn.predictor import load_model
from benchmarks.timing import timed

__all__ = ["PREDICTORS", "WORK"]


def numpy_predictor(model):
    """Return a function of ids and mask ``(B, T)`` that returns the probability of the last class ``(B,)``."""
    return lambda ids, mask: model.predict_rows(ids, mask)[:, -1]


def theano_predictor(model):
    """Return the same function, with the layers of `bayes_rnn`."""
    from theano_rnn import runtime
    runtime.configure()
    import theano

    from bayes_rnn.config import parse_config
    from bayes_rnn.models import TextClassifier
    arrays = model.arrays
    network = TextClassifier(parse_config("DCDCCD", "classification"), *arrays["embedding"].shape,
                             hidden_units=model.num_units, classes=len(model.metadata["classes"]))
    for name, array in (("embedding.W", "embedding"), ("lstm.W_in", "W_in"), ("lstm.W_hid", "W_hid"), ("lstm.b", "b"),
                        ("dense.W", "W_out"), ("dense.b", "b_out")):
        network.parameters()[name].set_value(arrays[array])
    function = theano.function(network.inputs, network.prediction(deterministic=True))
    return lambda ids, mask: function(ids.astype(np.int32), mask)[:, -1]


def torch_predictor(model):
    """Return the same function in PyTorch."""
    import torch
    import torch.nn.functional as F
    embedding, W_in, W_hid, b, W_out, b_out = (
        torch.from_numpy(model.arrays[name]) for name in ("embedding", "W_in", "W_hid", "b", "W_out", "b_out"))
    units = len(W_hid)

    def hard_sigmoid(x):
        return torch.clamp(0.2 * x + 0.5, 0, 1)             # the hard sigmoid of PyTorch has the slope 1/6

    @torch.no_grad()
    def predict(ids, mask):
        texts, length = ids.shape
        ids, mask = torch.from_numpy(np.ascontiguousarray(ids.T)), torch.from_numpy(mask.T != 0)
        projected = (F.embedding(ids, embedding).view(length * texts, -1) @ W_in + b).view(length, texts, -1)
        h = c = torch.zeros(texts, units)
        for step in range(length):
            i, f, g, o = (projected[step] + h @ W_hid).chunk(4, 1)
            new_c = hard_sigmoid(f) * c + hard_sigmoid(i) * torch.tanh(g)
            new_h = hard_sigmoid(o) * torch.tanh(new_c)
            seen = mask[step].unsqueeze(1)
            c, h = torch.where(seen, new_c, c), torch.where(seen, new_h, h)
        return torch.sigmoid(h @ W_out + b_out)[:, -1].numpy()
    return predict


PREDICTORS = {"numpy": numpy_predictor, "theano": theano_predictor, "torch": torch_predictor}

#: Measurement to a function that returns the call to measure.
WORK = {
    "token ids": lambda model, predict, texts: lambda encoded=model.encode(texts): predict(*encoded),
    "raw text": lambda model, predict, texts: lambda: predict(*model.encode(texts)),
    "one text": lambda model, predict, texts: lambda: predict(*model.encode(texts[:1])),
}


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictor", choices=sorted(PREDICTORS))
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("texts", metavar="TEXTS", nargs="?", help="a JSON file: a list of texts")
    parser.add_argument("--repetitions", type=int, default=5, help="measured calls, after one other call")
    parser.add_argument("--answer", metavar="TEXT", help="only print the probability of one text")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    predict = PREDICTORS[arguments.predictor](model)
    if arguments.answer is not None:
        print("%.3f" % predict(*model.encode([arguments.answer]))[0])
        return
    with open(arguments.texts) as stream:
        texts = json.load(stream)
    seconds = {quantity: timed(make(model, predict, texts), arguments.repetitions, warm_up=1)
               for quantity, make in WORK.items()}
    print(json.dumps({"seconds": seconds, "probabilities": predict(*model.encode(texts)).tolist()}))


if __name__ == "__main__":
    main()
