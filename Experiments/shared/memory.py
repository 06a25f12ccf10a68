"""The memory that a task needs at least, estimated from its settings and compared with that of the machine.

A size with some zeros too many would otherwise end after minutes of compiling, or the kernel would end the program.
"""

import os
import resource
from collections import namedtuple

from theano_rnn.errors import ReportedError

__all__ = ["MemoryNeed", "machine_memory", "refuse_too_large", "bayesian_memory", "language_model_memory",
           "tagger_memory"]

FLOAT32_BYTES = INT32_BYTES = 4
#: Of the symbolic graph of a layer, or of a block of a sparse embedding, while it is compiled.
GRAPH_BYTES = 2 ** 20
#: Limits of a container, of the versions 2 and 1 of cgroups.
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

#: Estimated bytes: of the data in their form for training; of the parameters with gradients and optimiser; of the
#: values that one training step keeps for its gradient. And the names of the settings that determine them.
MemoryNeed = namedtuple("MemoryNeed", ["data", "parameters", "step", "settings"])


def machine_memory():
    """Return the bytes of memory that this process can have: those of the machine, or less in a container."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in CGROUP_LIMITS:
        try:
            with open(path) as stream:
                found.append(int(stream.read()))
        except (OSError, ValueError):       # no such file; "max"
            pass
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(found + ([] if limit == resource.RLIM_INFINITY else [limit]))


def refuse_too_large(settings, data, device="cpu"):
    """Raise a `ReportedError` if a task needs more memory than there is.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    data : object
        From `Experiment.load_data`.
    device : str
        A GPU has memory of its own for a training step, which is not counted then.
    """
    if settings.experiment.memory is None:
        return
    need, available = settings.experiment.memory(settings, data), machine_memory()
    need = need if device == "cpu" else need._replace(step=0)
    total = need.data + need.parameters + need.step
    if total > available:
        defaults = settings.experiment.defaults
        larger = [name for name in need.settings if getattr(settings, name) > defaults[name]] or need.settings
        raise ReportedError("these settings need at least %s of memory (parameters and optimiser %s, a training step "
                            "%s, data %s), but there are %s; reduce %s" % (
                                tuple(_readable(number) for number in
                                      (total, need.parameters, need.step, need.data, available))
                                + (", ".join("%s=%s" % (name, getattr(settings, name)) for name in larger),)))


def _readable(size):
    return "%.3g GB" % (size / 1e9) if size < 1e12 else "%.3g TB" % (size / 1e12)


def bayesian_memory(settings, data):
    """Return the `MemoryNeed` of a text classifier or a language model with Bayesian compression.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    data : TextData or LanguageData
    """
    units, length, names = settings.hidden_units, settings.length, ["hidden_units", "length"]
    if settings.kind == "text":
        words, inputs = min(settings.words_kept, len(data.vocabulary)), settings.embedding_units
        texts = len(data.train.labels) + len(data.test.labels)
        rows, prepared = min(settings.batch_size, texts), texts * length * (INT32_BYTES + 1)     # tokens and mask
        weights, outputs = words * inputs, data.classes
        names += ["embedding_units", "batch_size"]
    else:
        inputs = outputs = len(data.vocabulary)
        rows = settings.streams if settings.kind == "words" else min(
            settings.batch_size, len(data.train) // length)
        length, prepared, weights = min(length, len(data.train)), 0, 0
        names += ["streams" if settings.kind == "words" else "batch_size"]
    weights += 4 * units * (inputs + units) + units * outputs
    # For each weight: its value, its gradient, and the two moments of Adam. In a step: gates, cell and hidden state.
    scores = outputs * (1 if settings.kind == "text" else length)
    return MemoryNeed(prepared, 4 * FLOAT32_BYTES * weights, FLOAT32_BYTES * rows * (6 * units * length + scores),
                      names)


def language_model_memory(settings, data):
    """Return the `MemoryNeed` of an AWD-LSTM.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    data : LanguageData
    """
    words, inner = len(data.vocabulary), settings.nlayers - 1
    last = settings.emsize if settings.nhidlast == -1 else settings.nhidlast
    below = settings.nhid if inner else settings.emsize
    lstms = 4 * last * (below + last)
    if inner:
        lstms += 4 * settings.nhid * (settings.emsize + settings.nhid) + (inner - 1) * 8 * settings.nhid ** 2
    latent = settings.n_experts * settings.emsize * (last if last != settings.n_experts * settings.emsize else 0)
    weights = words * settings.emsize * settings.emdensity + lstms * settings.sparse_fract ** 2 + latent
    streams, units = settings.batch_size, inner * settings.nhid + last
    length = min(settings.bptt, len(data.train) // streams + 1)
    rows = streams if settings.small_batch_size == -1 else min(streams, settings.small_batch_size)
    step = rows * length * (6 * units + settings.n_experts * (settings.emsize + words)) + 2 * streams * units
    graph = GRAPH_BYTES * (settings.nlayers + min(settings.emblocks, settings.emsize))
    # For each weight: its value and its gradient.
    return MemoryNeed(0, int(2 * FLOAT32_BYTES * weights) + graph, FLOAT32_BYTES * step, [
        "emsize", "nhid", "nhidlast", "nlayers", "n_experts", "emblocks", "batch_size"])


def tagger_memory(settings, data):
    """Return the `MemoryNeed` of a tagger.

    Parameters
    ----------
    settings : Experiments.shared.config.Settings
    data : TaggedData
    """
    units, rows = 2 * settings.nhid, min(settings.batch_size, len(data.train.offsets))
    lstms = 8 * settings.nhid * (settings.emsize + settings.nhid + (settings.layers - 1) * (units + settings.nhid))
    weights = (len(data.vocabulary) * settings.emsize * settings.emb_density + lstms
               + settings.nhid * (units + len(data.tags)))
    graph = GRAPH_BYTES * (settings.layers + min(settings.emb_blocks, settings.emsize))
    copies = 4 if settings.optimizer == "adam" else 2
    step = rows * 6 * units * settings.layers
    return MemoryNeed(0, int(copies * FLOAT32_BYTES * weights) + graph, FLOAT32_BYTES * step, [
        "emsize", "nhid", "layers", "emb_blocks", "batch_size"])
