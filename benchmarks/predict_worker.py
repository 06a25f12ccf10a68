"""One implementation of a text classifier in its own process, which measures on request; see `benchmarks/predict.py`.

    python benchmarks/predict_worker.py numpy model.npz texts.txt
    python benchmarks/predict_worker.py torch dense.npz --answer "a wonderful film"

The first command prints the probabilities of the last class of all texts as JSON. Then it reads requests from standard
input and prints the seconds of each call: ``one 0.3`` (one text per call, for 0.3 s), ``many 0.3`` (all texts per
call). The file of the dense network has the format of compressed models, so that all candidates encode texts in the
same way.
"""

import argparse
import json
import os
import sys
import time

import numpy as np

from bayes_rnn.predictor import load_model

__all__ = ["PREDICTORS", "measured"]


def numpy_predictor(path):
    """Return a function of a list of texts that returns the probabilities of the last class."""
    model = load_model(path, "numpy")
    return lambda texts: model.predict(texts)[:, -1]


def c_predictor(path):
    """Return the same function, with the library beside the model."""
    model = load_model(path, "c")
    return lambda texts: model.predict(texts)[:, -1]


def onnx_predictor(path):
    """Return the same function, with the ONNX graph beside the model."""
    import onnxruntime
    model, options = load_model(path, "numpy"), onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.path.splitext(path)[0] + ".onnx", options,
                                           providers=["CPUExecutionProvider"])

    def predict(texts):
        rows, mask = model.encode(texts)
        lengths = mask.sum(axis=1).astype(np.int32)
        # The graph expects the padding at the end.
        shifted = (np.arange(rows.shape[1]) + rows.shape[1] - lengths[:, None]) % rows.shape[1]
        rows = np.ascontiguousarray(np.take_along_axis(rows, shifted, axis=1).T)
        return session.run(None, {"rows": rows, "lengths": lengths})[0][:, -1]
    return predict


def theano_predictor(path):
    """Return the same function, with the layers of `bayes_rnn`."""
    from theano_rnn.runtime import ensure_configured
    ensure_configured()
    import theano

    from bayes_rnn.config import parse_config
    from bayes_rnn.models import TextClassifier
    model = load_model(path, "numpy")
    arrays = model.arrays
    network = TextClassifier(parse_config("DCDCCD", "classification"), *arrays["embedding"].shape,
                             hidden_units=model.num_units, classes=len(model.metadata["classes"]))
    for name, array in (("embedding.W", "embedding"), ("lstm.W_in", "W_in"), ("lstm.W_hid", "W_hid"), ("lstm.b", "b"),
                        ("dense.W", "W_out"), ("dense.b", "b_out")):
        network.parameters()[name].set_value(arrays[array])
    function = theano.function(network.inputs, network.prediction(deterministic=True))

    def predict(texts):
        rows, mask = _dense_rows(model, texts)
        return function(rows.astype(np.int32), mask)[:, -1]
    return predict


def _dense_rows(model, texts):
    """Return rows and mask of texts for a dense network. Words that it lacks are as its last word, which is pruned."""
    rows, mask = model.encode(texts)
    return np.minimum(rows, len(model.row_of_word) - 1), mask


def torch_predictor(path):
    """Return the same function in PyTorch, with a loop over time because torch.nn.LSTM has no hard sigmoid."""
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model = load_model(path, "numpy")
    embedding, W_in, W_hid, b, W_out, b_out = (
        torch.from_numpy(model.arrays[name]) for name in ("embedding", "W_in", "W_hid", "b", "W_out", "b_out"))
    units = len(W_hid)

    def hard_sigmoid(x):
        return torch.clamp(0.2 * x + 0.5, 0, 1)             # the hard sigmoid of PyTorch has the slope 1/6

    @torch.no_grad()
    def predict(texts):
        ids, mask = _dense_rows(model, texts)
        count, length = ids.shape
        ids, mask = torch.from_numpy(np.ascontiguousarray(ids.T)), torch.from_numpy(mask.T != 0)
        projected = (F.embedding(ids, embedding).view(length * count, -1) @ W_in + b).view(length, count, -1)
        h = c = torch.zeros(count, units)
        for step in range(length):
            i, f, g, o = (projected[step] + h @ W_hid).chunk(4, 1)
            new_c = hard_sigmoid(f) * c + hard_sigmoid(i) * torch.tanh(g)
            new_h = hard_sigmoid(o) * torch.tanh(new_c)
            seen = mask[step].unsqueeze(1)
            c, h = torch.where(seen, new_c, c), torch.where(seen, new_h, h)
        scores = h @ W_out + b_out
        return (torch.sigmoid(scores) if scores.shape[1] == 1 else torch.softmax(scores, 1))[:, -1].numpy()
    return predict


def fasttext_predictor(path):
    """Return a function of a list of texts that returns the probabilities of the best class."""
    import fasttext
    model = fasttext.load_model(path)
    return lambda texts: np.concatenate(model.predict(texts)[1])


def train_fasttext(path, texts, out):
    """Train fastText on the predictions of a compressed model, and quantise it to as many words."""
    import fasttext
    model, labelled = load_model(path, "numpy"), out + ".txt"
    with open(labelled, "w") as stream:
        for text, label in zip(texts, model.predict(texts).argmax(axis=1)):
            stream.write("__label__%d %s\n" % (label, text))
    trained = fasttext.train_supervised(labelled, dim=10, epoch=5, thread=1, verbose=0)
    cutoff = min(len(model.row_of_word), len(trained.words))
    trained.quantize(labelled, qnorm=True, cutoff=max(cutoff, 256), retrain=False, thread=1)
    trained.save_model(out)


PREDICTORS = {"numpy": numpy_predictor, "c": c_predictor, "onnx": onnx_predictor, "theano": theano_predictor,
              "torch": torch_predictor, "fasttext": fasttext_predictor}


def measured(predict, texts, what, seconds):
    """Return the seconds of each call for about a time.

    Parameters
    ----------
    predict : callable
        From `PREDICTORS`.
    texts : list of str
    what : {"one", "many"}
        One text per call, or all texts.
    seconds : float
    """
    inputs = [texts] if what == "many" else [[text] for text in texts]
    found, begin = [], time.perf_counter()
    predict(inputs[-1])                             # after the pause
    while not found or time.perf_counter() - begin < seconds:
        started = time.perf_counter()
        predict(inputs[len(found) % len(inputs)])
        found.append(time.perf_counter() - started)
    return found


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictor", choices=sorted(PREDICTORS))
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("texts", metavar="TEXTS", nargs="?", help="a file with one text per line")
    parser.add_argument("--answer", metavar="TEXT", help="only print the probability for one text")
    parser.add_argument("--train", metavar="FILE", help="train fastText on the predictions of MODEL and write it")
    arguments = parser.parse_args()
    if arguments.texts:
        with open(arguments.texts) as stream:
            texts = stream.read().splitlines()
    if arguments.train:
        train_fasttext(arguments.model, texts, arguments.train)
        return
    predict = PREDICTORS[arguments.predictor](arguments.model)
    if arguments.answer is not None:
        print("%.3f" % predict([arguments.answer])[0])
        return
    print(json.dumps(predict(texts).tolist()), flush=True)
    for line in sys.stdin:
        what, seconds = line.split()
        print(json.dumps(measured(predict, texts, what, float(seconds))), flush=True)


if __name__ == "__main__":
    main()
