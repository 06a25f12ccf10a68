"""Trains a tiny network of one kind on the device that THEANO_FLAGS names, in a process of its own.

    python tests/cuda/train.py NETWORK FOLDER [STEPS [STAND-IN ...]]

FOLDER gets ``NETWORK.npz``, all numbers that training changes, and ``NETWORK.json``: what `seen_in` says of the
training step, and the losses. The stand-ins are libraries loaded before anything else.
"""

import importlib.util
import itertools
import json
import os
import sys
from collections import OrderedDict

import numpy as np
from training import ROOT, begin

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
        from Experiments.shared.tasks.classification import make_job as make_bayesian
        return make_bayesian(main.EXPERIMENT.kind, main.EXPERIMENT.parse_config(config),
                             _data(main.EXPERIMENT, vocabulary, random), settings, SEED)
    settings = dict(main.ENTRY.options, **main.ENTRY.fixed)
    settings.update(changed)
    from Experiments.shared import sparse_command_line
    from sparse_seq_theano.architecture import language_model_architecture, tagger_architecture
    if experiment == "language_modeling":
        from Experiments.shared.data.corpus import Corpus
        from Experiments.shared.tasks.awd_lstm import AWDJob
        structure = language_model_architecture(WORDS, **{name: settings[name] for name in sparse_command_line.STRUCTURE})
        return AWDJob(Corpus(vocabulary, *_tokens(random)), structure, settings, SEED)
    from Experiments.shared.data.tagging import TaggedData, TaggedPart
    from Experiments.shared.tasks.tagging import TaggerJob
    structure = tagger_architecture(WORDS, 5, **{name: settings[name] for name in sparse_command_line.TAGGER_STRUCTURE})
    tokens, tags = _tokens(random)[0], random.randint(0, 5, 200).astype(np.int32)
    part = TaggedPart(tokens, tags, np.arange(0, 201, 8))
    return TaggerJob(TaggedData(vocabulary, ["t%d" % number for number in range(5)], part, part, part), structure,
                     settings, SEED)


def _tokens(random):
    return [random.randint(0, WORDS, 200).astype(np.int32) for _ in range(3)]


def _data(experiment, vocabulary, random):
    tokens = _tokens(random)
    if experiment.kind == "text":
        from Experiments.shared.data.classification import Documents, TextData
        classes = 2 if experiment.dataset == "IMDB" else 4
        texts = Documents(tokens[0], np.arange(0, 201, 10), random.randint(0, classes, 20).astype(np.int32))
        return TextData(vocabulary, texts, texts, classes)
    from Experiments.shared.data.penn_treebank import LanguageData
    return LanguageData(vocabulary, *tokens)


def _load_main(experiment):
    specification = importlib.util.spec_from_file_location(
        "main_of_" + experiment, os.path.join(ROOT, "Experiments", experiment, "main.py"))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def seen_in(function):
    """What a compiled function does beside computing on the GPU in single precision.

    Returns
    -------
    dict
        ``to_gpu``, the names of what is brought to the GPU; ``from_gpu``, the types of the results fetched from it;
        ``on_host``, operations on the host; ``row_by_row``, operations that launch a kernel for each row;
        ``double``, operations with a result in double precision. All lists are sorted, inner functions of scans
        included.
    """
    seen = dict((kind, set()) for kind in ("to_gpu", "on_host", "row_by_row", "double", "recurrence"))
    from_gpu = []
    for node in _nodes(function.maker.fgraph):
        name = type(node.op).__name__
        if name == "GpuFromHost":
            seen["to_gpu"].add(_name_of_source(node.inputs[0]))
        elif name == "HostFromGpu" and all(client == "output" for client, _ in node.outputs[0].clients):
            from_gpu.append(_describe(node))
        elif not _on_gpu(node) and not _is_length(node):
            seen["on_host"].add(_describe(node))
        elif name in ("GpuAdvancedIncSubtensor1", "GpuAdvancedIncSubtensor"):
            seen["row_by_row"].add(_describe(node))
        if name == "Scan" or "Recurrence" in name:
            seen["recurrence"].add(name)
        if "float64" in _types(node):
            seen["double"].add(_describe(node))
    return dict(((kind, sorted(names)) for kind, names in seen.items()), from_gpu=sorted(from_gpu))


def _nodes(graph):
    for node in graph.toposort():
        yield node
        if type(node.op).__name__ == "Scan":
            for inner in _nodes(node.op.fn.maker.fgraph):
                yield inner


def _on_gpu(node):
    if type(node.op).__name__ == "Scan":
        return node.op.gpua
    return type(node.op).__name__ != "HostFromGpu" and (
        type(node.op).__module__.startswith("theano.gpuarray")
        or all(type(output.type).__name__ == "GpuArrayType" for output in node.outputs))


def _is_length(node):
    """Whether it computes single integers, lengths and indices of axes: to start kernels is the host's work."""
    return all(getattr(output.type, "dtype", "").startswith(("int", "uint", "bool")) for output in node.outputs) and (
        type(node.op).__name__ == "MakeVector" or all(getattr(output, "ndim", 0) == 0 for output in node.outputs))


def _name_of_source(variable):
    if variable.owner is not None:
        return "lengths" if _is_length(variable.owner) else "result of " + _describe(variable.owner)
    return variable.name or str(variable)


def _types(node):
    """Of its results, also those inside of operations that Theano has fused."""
    inner = getattr(getattr(node.op, "scalar_op", None), "fgraph", None)
    return [getattr(variable.type, "dtype", None)
            for graph_node in ([node] + (list(inner.toposort()) if inner else [])) for variable in graph_node.outputs]


def _describe(node):
    name = type(node.op).__name__
    if hasattr(node.op, "scalar_op"):
        name += "{%s}" % node.op.scalar_op
    return "%s -> %s" % (name, ", ".join(str(output.type) for output in node.outputs))


def _spell_for_opencl():
    """Theano writes C that CUDA takes and OpenCL refuses: nan("") where that takes a number, floats as conditions."""
    from theano import scalar
    for operation, theirs, ours in ((scalar.Maximum, 'nan("")', "NAN"), (scalar.Minimum, 'nan("")', "NAN"),
                                    (scalar.Switch, " ? ", " != 0 ? ")):
        def c_code(self, *arguments, before=operation.c_code, theirs=theirs, ours=ours):
            return before(self, *arguments).replace(theirs, ours)

        def c_code_cache_version(self, before=operation.c_code_cache_version):
            return before(self) + ("opencl",)       # not the compiled modules of other devices
        operation.c_code, operation.c_code_cache_version = c_code, c_code_cache_version


def main(network, folder, steps="0", *standins):
    """The command line."""
    begin(standins)
    import theano
    if theano.config.device.startswith("opencl"):
        _spell_for_opencl()
    job = make_job(network)
    function = job.compile()
    seen = seen_in(function)
    endless = itertools.chain.from_iterable(job.minibatches(epoch) for epoch in itertools.count(1))
    seen["losses"] = [job.step(minibatch)[0] for minibatch in itertools.islice(endless, int(steps))]
    np.savez(os.path.join(folder, network + ".npz"), **job.state())
    with open(os.path.join(folder, network + ".json"), "w") as stream:
        json.dump(seen, stream, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
