"""Every key of the golden SparseLSTMs, language models and taggers, in float64, to 1e-6; parameter counts exactly.

The goldens check the layers and networks, so most of them use the reference implementations of the operations, which
are compiled in a fraction of the time. The cases in `FUSED` use the fused backend and Theano's default mode, as the
experiments do. `tests/theano_rnn/ops` checks that both backends agree for all combinations of options.
"""

import glob
import json
import os

from theano_rnn.lasagne_compat import lasagne

import numpy as np
import pytest
import theano
import theano.tensor as T

from sparse_seq_theano.architecture import language_model_architecture, tagger_architecture
from sparse_seq_theano.awd_lstm import AWDLanguageModel
from sparse_seq_theano.layers import SparseLSTMLayer
from sparse_seq_theano.tagger import Tagger

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
pytestmark = [pytest.mark.core, pytest.mark.usefixtures("flags_of_the_project", "float64")]
#: An LSTM with several components and an initial state, a training step with everything sparse, a masked bidirectional
#: network.
FUSED = ("sparse_lstm_blocks", "awd_lstm_sparse_all", "pos_tagger_two_layers")

#: Name of a language model's file to its arguments; all models have 30 words, 12 embedding and 20 hidden units.
MODELS = {
    "direct": {}, "sparse_hidden": dict(sparse_mode="sparse_hidden", sparse_fract=0.6),
    "sparse_emb": dict(sparse_mode="sparse_emb", sparse_fract=0.6, emblocks=4, emdensity=0.6),
    "sparse_all": dict(sparse_mode="sparse_all", sparse_fract=0.6, emblocks=4, emdensity=0.5),
    "mos3_sparse_hidden": dict(sparse_mode="sparse_hidden", sparse_fract=0.6, n_experts=3)}


def pytest_generate_tests(metafunc):
    folder = os.path.join(metafunc.config.getoption("--golden-dir"), "sparse_seq")
    for name, pattern in (("lstm", "sparse_lstm_*"), ("language_model", "awd_lstm_*"), ("tagger", "pos_tagger_*")):
        if name + "_path" in metafunc.fixturenames:
            files = sorted(glob.glob(os.path.join(folder, pattern + ".npz")))
            assert files, "no %s in %s" % (pattern, folder)
            metafunc.parametrize(name + "_path", files, ids=[os.path.basename(file)[:-4] for file in files])
    if "counts" in metafunc.fixturenames:
        with open(os.path.join(folder, "awd_parameter_counts.json")) as stream:
            cases = json.load(stream)
        metafunc.parametrize("counts", cases, ids=[case["setup"] for case in cases])


@pytest.fixture
def backend(request):
    """The reference backend, except for the files in `FUSED`."""
    paths = [request.getfixturevalue(name) for name in request.fixturenames if name.endswith("_path")]
    evaluates = "deterministic" in request.fixturenames and request.getfixturevalue("deterministic")
    fused = os.path.basename(paths[0])[:-len(".npz")] in FUSED and not evaluates
    request.getfixturevalue("only_fused_in_c" if fused else "reference_backend")


class Golden(dict):
    """A golden file that records which of its keys were read."""

    def __init__(self, path):
        with np.load(path) as arrays:
            super(Golden, self).__init__((name, arrays[name]) for name in arrays.files)
        self.seen = set()

    def __getitem__(self, name):
        self.seen.add(name)
        return super(Golden, self).__getitem__(name)

    def assert_all_seen(self):
        assert set(self) == self.seen


def lstm_names(prefix, suffix=""):
    """Return the golden names of the parameters of a component, by our names."""
    return {"W_in": prefix + "weight_ih_l" + suffix, "W_hid": prefix + "weight_hh_l" + suffix,
            "b_in": prefix + "bias_ih_l" + suffix, "b_hid": prefix + "bias_hh_l" + suffix}


def in_our_layout(name, value):
    """Return a golden value in our layout. Golden matrices except embeddings are ``(outputs, inputs)``."""
    return value if "embedders" in name else np.ascontiguousarray(value.T)


def set_and_check(golden, pairs, loss, function):
    """Set the parameters (pairs of a golden name and a shared variable), and compare the gradients of the loss.

    `function` compiles and calls with additional outputs.
    """
    for name, parameter in pairs:
        value = in_our_layout(name, golden["param." + name])
        assert parameter.get_value(borrow=True).shape == value.shape, name
        parameter.set_value(value)
    values = function(theano.grad(loss, [parameter for _, parameter in pairs]))
    for (name, _), value in zip(pairs, values):
        np.testing.assert_allclose(value, in_our_layout(name, golden["grad." + name]), err_msg=name, **TOLERANCE)


def embedding_pairs(golden, prefix, layer):
    """Return golden names and variables of the blocks that have rows."""
    pairs = []
    for number, block in enumerate(layer.blocks):
        name = "%sembedders.%d.weight" % (prefix, number)
        if block.get_value(borrow=True).size:
            pairs.append((name, block))
        else:
            assert golden["param." + name].shape == golden["grad." + name].shape == block.get_value().shape
    return pairs


def test_sparse_lstm(lstm_path, backend):
    golden = Golden(lstm_path)
    arguments = {name[len("arg."):]: golden[name].item() for name in list(golden) if name.startswith("arg.")}
    input, hid_init, cell_init = T.tensor3(), T.matrix(), T.matrix()
    units = int(golden["hidden_size"])
    layer = SparseLSTMLayer(
        lasagne.layers.InputLayer((None, None, int(golden["input_size"])), input), units, name="lstm",
        hid_init=lasagne.layers.InputLayer((None, units), hid_init),
        cell_init=lasagne.layers.InputLayer((None, units), cell_init), **arguments)
    hid, cell = layer.get_sequences_for([input, hid_init, cell_init])
    output = layer.get_output_for([input, hid_init, cell_init]).dimshuffle(1, 0, 2)
    loss = T.sum(output * golden["loss_weight"]) + T.sum(hid[-1] ** 2)
    given = {input: golden["input"].transpose(1, 0, 2), hid_init: golden["h0"], cell_init: golden["c0"]}

    def function(gradients):
        outputs = [loss, output, hid[-1], cell[-1], theano.grad(loss, input).dimshuffle(1, 0, 2)]
        values = theano.function(list(given), outputs + gradients)(*given.values())
        for name, value in zip(("loss", "output", "h_n", "c_n", "grad_input"), values):
            np.testing.assert_allclose(value, golden[name], err_msg=name, **TOLERANCE)
        return values[len(outputs):]

    set_and_check(golden, [(lstm_names("%d." % number, "0")[name], component[name])
                           for number, component in enumerate(layer.components) for name in sorted(component)],
                  loss, function)
    golden.assert_all_seen()


def language_model_pairs(network, golden):
    pairs = embedding_pairs(golden, "encoder.", network.encoder)
    pairs.append(("encoder.decoder_bias", network.decoder.b))
    for number, lstm in enumerate(network.lstms):
        for index, component in enumerate(lstm.components):
            prefix = "rnns.%d." % number
            if "param.%sweight_ih_l0" % prefix not in golden:
                prefix += "LSTMs.%d." % index
            pairs += [(lstm_names(prefix, "0")[name], component[name]) for name in sorted(component)]
    pairs.append(("prior.weight", network.prior.W))
    if network.latent is not None:
        pairs += [("output_trf.0.weight", network.latent.W), ("output_trf.0.bias", network.latent.b)]
    return pairs


@pytest.mark.parametrize("deterministic", [False, True])
def test_language_model(language_model_path, deterministic, backend):
    golden = Golden(language_model_path)
    name = os.path.basename(language_model_path)[len("awd_lstm_"):-len(".npz")]
    architecture = language_model_architecture(30, emsize=12, nhid=20, **MODELS[name])
    network = AWDLanguageModel(architecture, dropout=0., dropouth=0., dropouti=0., dropoute=0., wdrop=0.)
    assert architecture.parameter_counts()["total"] == golden["total_params"]
    assert sum(p.get_value().size for p in network.parameters().values()) == golden["total_params"]
    state = [golden["%s0.%d" % (kind, layer)] for layer in range(3) for kind in "hc"]
    outputs = network.outputs(deterministic=deterministic)
    loss = network.training_loss(outputs, alpha=2., beta=1.)

    def function(gradients):
        computed = [network.log_probabilities(outputs), network.token_losses(outputs).mean(), loss] \
            + outputs.final_state
        values = theano.function(network.inputs + [network.targets], computed + gradients)(
            *([golden["tokens"].T.astype("int32")] + state + [golden["targets"].T.astype("int32")]))
        log_prob = values[0].reshape((4, 7, 30)).transpose(1, 0, 2)
        expected = ["log_prob", "raw_loss", "loss_alpha2_beta1"] + [
            "%s_n.%d" % (kind, layer) for layer in range(3) for kind in "hc"]
        for name, value in zip(expected, [log_prob] + values[1:]):
            np.testing.assert_allclose(value, golden[name], err_msg=name, **TOLERANCE)
        return values[len(computed):]

    set_and_check(golden, language_model_pairs(network, golden), loss, function)
    golden.assert_all_seen()


def test_tagger(tagger_path, backend):
    golden = Golden(tagger_path)
    lengths = golden["lengths"]
    sizes = {name: golden[name].item() for name in ("emsize", "nhid", "layers", "emb_blocks", "emb_density")}
    network = Tagger(tagger_architecture(len(golden["param.word_embeddings.embedders.0.weight"]),
                                      golden["scores"].shape[2], **sizes))
    assert network.architecture.parameter_counts()["total"] == sum(
        p.get_value().size for p in network.parameters().values())
    mask = (np.arange(7) < lengths[:, np.newaxis]).astype("uint8")
    scores = network.scores()
    loss = network.loss(scores)
    embedding, *lstms, intermediate, output = network.layers.values()
    pairs = embedding_pairs(golden, "word_embeddings.", embedding)
    for number, layer in enumerate(lstms):
        names = lstm_names("lstm.", "%d%s" % (number // 2, "_reverse" if number % 2 else ""))
        pairs += [(names[name], parameter) for name, parameter in sorted(layer.components[0].items())]
    pairs += [("hidden2intermediate.weight", intermediate.W), ("hidden2intermediate.bias", intermediate.b),
              ("intermediate2tag.weight", output.W), ("intermediate2tag.bias", output.b)]

    def function(gradients):
        values = theano.function([network.tokens, network.mask, network.tags], [scores, loss] + gradients)(
            golden["tokens"].astype("int32"), mask, golden["tags"].astype("int32"))
        real = mask.astype(bool)
        np.testing.assert_allclose(values[0].reshape(golden["scores"].shape)[real], golden["scores"][real],
                                   **TOLERANCE)
        np.testing.assert_allclose(values[1], golden["loss"], **TOLERANCE)
        return values[2:]

    set_and_check(golden, pairs, loss, function)
    golden.assert_all_seen()


def test_parameter_counts_at_full_size(counts):
    options = {"emsize": counts["emsize"], "nhid": counts["nhid"], "sparse_mode": counts["mode"],
               "sparse_fract": counts.get("fract", 1.), "emblocks": counts.get("emblocks", 1),
               "emdensity": counts.get("emdensity", 1.)}
    architecture = language_model_architecture(10000, **options)
    found = architecture.parameter_counts()
    assert {name: found[name] for name in ("encoder", "rnns", "total")} == {
        name: counts[name] for name in ("encoder", "rnns", "total")}
    network = AWDLanguageModel(architecture)
    assert sum(p.get_value(borrow=True).size for p in network.parameters().values()) == counts["total"]
