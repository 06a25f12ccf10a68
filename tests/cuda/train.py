"""Trains a tiny network of one kind on the device that THEANO_FLAGS names, in a process of its own.

    python tests/cuda/train.py NETWORK FOLDER [STEPS [STAND-IN ...]]

FOLDER gets ``NETWORK.npz``, all numbers that training changes, and ``NETWORK.json``: the operations of the compiled
training step that run on the host, and the losses. The stand-ins are libraries loaded before anything else.
"""

import ctypes
import importlib.util
import itertools
import json
import os
import sys
from collections import Counter, OrderedDict

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TEXT = dict(embedding_units=6, hidden_units=5, length=7, batch_size=4, words_kept=30, validation_fraction=0.25, clip=1.)
LANGUAGE = dict(emsize=6, nhid=8, nlayers=2, batch_size=3, bptt=5, max_seq_len_delta=1, lr=1.)
#: By name: the experiment, CONFIG or None, what differs from the published settings.
NETWORKS = OrderedDict([
    ("IMDB", ("IMDB", "LLLCCL", TEXT)),
    ("AGNews", ("AGNews", "LLLCCL", TEXT)),
    ("Char_PTB", ("Char_PTB", "LCCL", dict(hidden_units=5, length=7, batch_size=4))),
    ("Word_PTB", ("Word_PTB", "LCCL", dict(hidden_units=5, length=7, streams=4))),
    ("awd-direct", ("language_modeling", None, LANGUAGE)),
    ("awd-sparse", ("language_modeling", None, dict(LANGUAGE, sparse_mode="sparse_hidden", sparse_fract=0.6))),
    ("tagger", ("sequence_labeling", None, dict(emsize=6, nhid=5, batch_size=3, emb_blocks=2, emb_density=0.75,
                                                dropouti=0.2, dropoute=0.2, wdrop=0.2, dropouth=0.2))),
])
WORDS, SEED = 40, 3


def make_job(network):
    """A job on random data."""
    experiment, config, changed = NETWORKS[network]
    random = np.random.RandomState(SEED)
    vocabulary = ["w%d" % number for number in range(WORDS)]
    main = _load_main(experiment)
    if config is not None:
        settings = dict(main.EXPERIMENT.hyperparameters, **changed)
        from Experiments.shared.jobs.bayesian import make_job as make_bayesian
        return make_bayesian(main.EXPERIMENT.kind, main.EXPERIMENT.parse_config(config),
                             _data(main.EXPERIMENT, vocabulary, random), settings, SEED)
    settings = dict(main.ENTRY.options, **main.ENTRY.fixed)
    settings.update(changed)
    from Experiments.shared import sparse_command_line
    from sparse_seq_theano.structure import language_model_structure, tagger_structure
    if experiment == "language_modeling":
        from Experiments.shared.data.corpus import Corpus
        from Experiments.shared.jobs.language_modeling import AWDJob
        structure = language_model_structure(WORDS, **{name: settings[name] for name in sparse_command_line.STRUCTURE})
        return AWDJob(Corpus(vocabulary, *_tokens(random)), structure, settings, SEED)
    from Experiments.shared.data.tagged import TaggedData, TaggedPart
    from Experiments.shared.jobs.sequence_labeling import TaggerJob
    structure = tagger_structure(WORDS, 5, **{name: settings[name] for name in sparse_command_line.TAGGER_STRUCTURE})
    tokens, tags = _tokens(random)[0], random.randint(0, 5, 200).astype(np.int32)
    part = TaggedPart(tokens, tags, np.arange(0, 201, 8))
    return TaggerJob(TaggedData(vocabulary, ["t%d" % number for number in range(5)], part, part, part), structure,
                     settings, SEED)


def _tokens(random):
    return [random.randint(0, WORDS, 200).astype(np.int32) for _ in range(3)]


def _data(experiment, vocabulary, random):
    tokens = _tokens(random)
    if experiment.kind == "text":
        from Experiments.shared.data.text import Documents, TextData
        classes = 2 if experiment.dataset == "IMDB" else 4
        texts = Documents(tokens[0], np.arange(0, 201, 10), random.randint(0, classes, 20).astype(np.int32))
        return TextData(vocabulary, texts, texts, classes)
    from Experiments.shared.data.ptb import LanguageData
    return LanguageData(vocabulary, *tokens)


def _load_main(experiment):
    specification = importlib.util.spec_from_file_location(
        "main_of_" + experiment, os.path.join(ROOT, "Experiments", experiment, "main.py"))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def host_operations(function):
    """What a compiled function does on the host: Counter of descriptions, inner functions of scans included."""
    return Counter(_describe(node, prefix) for node, prefix in _nodes(function.maker.fgraph)
                   if not _on_gpu(node) and not _is_shape(node))


def _nodes(graph, prefix=""):
    for node in graph.toposort():
        yield node, prefix
        if type(node.op).__name__ == "Scan":
            for inner in _nodes(node.op.fn.maker.fgraph, "scan: "):
                yield inner


def _on_gpu(node):
    op = node.op
    if type(op).__name__ == "Scan":
        return op.gpua
    # The two transfers are of Theano's GPU module too, but are what this is about.
    if type(op).__name__ in ("GpuFromHost", "HostFromGpu"):
        return False
    return type(op).__module__.startswith("theano.gpuarray") or all(
        type(output.type).__name__ == "GpuArrayType" for output in node.outputs)


def _is_shape(node):
    """Whether it computes lengths and indices of axes, single integers: what starts kernels is the host's work."""
    if type(node.op).__name__ in ("GpuFromHost", "HostFromGpu"):
        return False
    return all(output.type.dtype.startswith(("int", "uint", "bool")) for output in node.outputs) and (
        type(node.op).__name__ == "MakeVector" or all(getattr(output, "ndim", 0) == 0 for output in node.outputs))


def _describe(node, prefix):
    name = type(node.op).__name__
    scalar = getattr(node.op, "scalar_op", None)
    if name == "Elemwise" and scalar is not None:
        name += "{%s}" % type(scalar).__name__
    outputs = ", ".join("%s %dd" % (output.dtype, output.ndim) if hasattr(output, "dtype") else str(output.type)
                        for output in node.outputs)
    return "%s%s -> %s" % (prefix, name, outputs)


def main(network, folder, steps="0", *standins):
    """The command line."""
    for library in standins:
        ctypes.CDLL(library)
    from Experiments.shared import theano_setup
    theano_setup.configure()
    job = make_job(network)
    function = job.compile()
    seen = {"host": dict(getattr(function, "maker", None) and host_operations(function) or {})}
    endless = itertools.chain.from_iterable(job.minibatches(epoch) for epoch in itertools.count(1))
    seen["losses"] = [job.step(minibatch)[0] for minibatch in itertools.islice(endless, int(steps))]
    np.savez(os.path.join(folder, network + ".npz"), **job.state())
    with open(os.path.join(folder, network + ".json"), "w") as stream:
        json.dump(seen, stream, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
