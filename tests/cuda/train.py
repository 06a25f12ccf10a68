"""Train a tiny network of one kind in its own process, on the device in THEANO_FLAGS.

    python tests/cuda/train.py NETWORK FOLDER [STEPS [STAND-IN ...]]

It trains twice, and writes ``NETWORK.npz`` and ``NETWORK-later.npz``, the states of the task after each, to FOLDER.
``NETWORK.json`` has the result of `seen_in` for the training step, the losses of the first training, and ``differs``,
the names of the arrays with other bits after a repetition of the second. If the environment variable TRAIN_FROM is the
path of a state, the training begins from it. The stand-ins are libraries that are loaded before anything else.
"""

import importlib
import itertools
import json
import os
import sys
from collections import OrderedDict

import numpy as np
from run_scripts import begin

TEXT = dict(config="LLLCCL", embedding_units=6, hidden_units=5, length=7, batch_size=4, words_kept=30,
            validation_fraction=0.25, clip=1.)
LANGUAGE = dict(emsize=6, nhid=8, nlayers=2, batch_size=3, bptt=5, max_seq_len_delta=1, lr=1.)
#: Network to the experiment and the settings that differ from the published ones.
NETWORKS = OrderedDict([
    ("IMDB", ("IMDB", TEXT)),
    ("AGNews", ("AGNews", TEXT)),
    ("Char_PTB", ("Char_PTB", dict(config="LCCL", hidden_units=5, length=7, batch_size=4))),
    ("Word_PTB", ("Word_PTB", dict(config="LCCL", hidden_units=5, length=7, streams=4))),
    ("awd-direct", ("language_modeling", LANGUAGE)),
    ("awd-sparse", ("language_modeling", dict(LANGUAGE, sparse_mode="sparse_hidden", sparse_fract=0.6))),
    ("tagger", ("sequence_labeling", dict(emsize=6, nhid=5, batch_size=3, emb_blocks=2, emb_density=0.75, dropouti=0.2,
                                          dropoute=0.2, wdrop=0.2, dropouth=0.2))),
])
WORDS, SEED = 40, 3


def make_task(network):
    """Return the task of a network of `NETWORKS` on random data."""
    from benchmarks.generated_data import generated_data
    from Experiments.shared.tasks import build_task
    name, changes = NETWORKS[network]
    experiment = importlib.import_module("Experiments.%s.main" % name).EXPERIMENT
    settings = experiment.make_settings(seed=SEED, **changes)
    return build_task(experiment, settings, generated_data(settings, words=WORDS))


def seen_in(function):
    """Return the work of a compiled function other than single-precision computation on the GPU.

    Returns
    -------
    dict
        ``to_gpu``, the names of the variables copied to the GPU; ``from_gpu``, the types of the fetched results;
        ``on_host``, operations on the host; ``row_by_row``, operations that launch a kernel for each row;
        ``atomic``, operations that add with atomics, in an undetermined order;
        ``double``, operations with a result in double precision; ``uncached``, sums that every process compiles;
        ``recurrence`` and ``adam``, the operations of these
        names. All lists are sorted, inner functions of scans included.
    """
    seen = dict((kind, set()) for kind in (
        "to_gpu", "on_host", "row_by_row", "atomic", "double", "uncached", "recurrence", "adam"))
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
        elif name == "GpuAdvancedIncSubtensor1_dev20":
            seen["atomic"].add(_describe(node))
        if name == "GpuCAReduceCuda" and not node.op.c_code_cache_version_apply(node):
            seen["uncached"].add(_describe(node))
        if name == "Scan" or "Recurrence" in name:
            seen["recurrence"].add(name)
        if name == "GpuVariationalAdam":
            seen["adam"].add("%d groups by rows, %s" % (
                sum(group.rows for group in node.op.groups), "in place" if node.op.inplace else "copied"))
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
    """Return whether an operation computes single integers: lengths and indices of axes, which the host computes."""
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


def train(task, steps):
    """Train for a number of minibatches from the beginning of an epoch, and return the losses."""
    endless = itertools.chain.from_iterable(task.minibatches(epoch) for epoch in itertools.count(1))
    return [task.step(minibatch)[0] for minibatch in itertools.islice(endless, steps)]


def copied_state(task):
    """Return a copy of the arrays that a checkpoint holds."""
    return OrderedDict((name, array.copy()) for name, array in task.state().items())


def main(network, folder, steps="0", *standins):
    """Run the command line."""
    begin(standins)
    task = make_task(network)
    function = task.compile()
    seen = seen_in(function)
    if "TRAIN_FROM" in os.environ:
        with np.load(os.environ["TRAIN_FROM"]) as arrays:
            task.set_state(dict(arrays))
    seen["losses"] = train(task, int(steps))
    first = copied_state(task)
    train(task, int(steps))
    later = copied_state(task)
    task.set_state(first)
    train(task, int(steps))
    seen["differs"] = [name for name, array in task.state().items() if array.tobytes() != later[name].tobytes()]
    for suffix, arrays in (("", first), ("-later", later)):
        np.savez(os.path.join(folder, network + suffix + ".npz"), **arrays)
    with open(os.path.join(folder, network + ".json"), "w") as stream:
        json.dump(seen, stream, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
