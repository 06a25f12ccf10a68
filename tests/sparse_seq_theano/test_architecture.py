"""The sizes of the two networks: parameter counts, the sizes that each mode reduces, and error messages."""

import os
import subprocess
import sys

from theano_rnn.errors import ReportedError

import pytest

from sparse_seq_theano.architecture import SPARSE_MODES, language_model_architecture, tagger_architecture
from sparse_seq_theano.geometry import GeometryError, lstm_geometry

REDUCED = sorted(set(SPARSE_MODES) - {"direct"})


def dense(inputs, units):
    return 4 * units * (inputs + units + 2)


# -- language model ----------------------------------------------------------------------------------------------------

def test_counts_of_a_dense_network():
    architecture = language_model_architecture(30, emsize=5, nhid=7)
    assert [(lstm.input_size, lstm.hidden_size, lstm.components) for lstm in architecture.lstms] == [
        (5, 7, 1), (7, 7, 1), (7, 5, 1)]
    assert architecture.last_hidden_size == 5 and not architecture.has_latent
    rnns = dense(5, 7) + dense(7, 7) + dense(7, 5)
    assert architecture.parameter_counts() == {
        "encoder": 30 * 5 + 30, "rnns": rnns, "prior": 5, "latent": 0, "total": 180 + rnns + 5}


@pytest.mark.parametrize("nhidlast, n_experts, latent", [
    (-1, 1, 0), (5, 1, 0), (7, 1, 8 * 5), (-1, 3, 6 * 15), (15, 3, 0), (4, 3, 5 * 15)])
def test_counts_of_the_mixture(nhidlast, n_experts, latent):
    """The network has a latent layer if and only if the last LSTM is not as wide as all experts together."""
    architecture = language_model_architecture(30, emsize=5, nhid=7, nhidlast=nhidlast, n_experts=n_experts, nlayers=2)
    last = 5 if nhidlast == -1 else nhidlast
    counts = architecture.parameter_counts()
    assert architecture.last_hidden_size == architecture.lstms[-1].hidden_size == last
    assert architecture.has_latent == (latent > 0)
    assert counts["latent"] == latent and counts["prior"] == n_experts * last
    assert counts["rnns"] == dense(5, 7) + dense(7, last)
    assert counts["total"] == sum(counts[name] for name in ("encoder", "rnns", "prior", "latent"))


def test_counts_of_a_sparse_embedding():
    architecture = language_model_architecture(100, emsize=10, nhid=7, emblocks=5, emdensity=0.4)
    assert architecture.embedding.blocks == 5
    assert architecture.parameter_counts()["encoder"] == architecture.embedding.parameters + 100
    assert abs(architecture.embedding.parameters - 400) <= 2


#: Values of each LSTM, for 3 layers and a fraction of 0.6.
REDUCTIONS = {"sparse_hidden": [(1, 0.6), (0.6, 0.6), (0.6, 1)], "sparse_emb": [(0.6, 1), None, (1, 0.6)],
              "sparse_all": [(0.6, 0.6)] * 3}


@pytest.mark.parametrize("mode", REDUCED)
def test_sizes_that_a_mode_reduces(mode):
    architecture = language_model_architecture(30, emsize=20, nhid=40, sparse_mode=mode, sparse_fract=0.6)
    sizes = [(20, 40), (40, 40), (40, 20)]
    assert architecture.lstms == tuple(
        lstm_geometry(inputs, units, reduce_in=reductions[0], reduce_out=reductions[1]) if reductions
        else lstm_geometry(inputs, units, blocks=1)
        for (inputs, units), reductions in zip(sizes, REDUCTIONS[mode]))
    assert architecture.parameter_counts()["rnns"] == sum(lstm.parameters for lstm in architecture.lstms)
    assert architecture.parameter_counts()["rnns"] < language_model_architecture(
        30, emsize=20, nhid=40).parameter_counts()["rnns"]


@pytest.mark.parametrize("mode, reductions", [
    ("direct", None), ("sparse_hidden", None), ("sparse_emb", (0.6, 0.6)), ("sparse_all", (0.6, 0.6))])
def test_one_layer_is_first_and_last(mode, reductions):
    """Both sizes of the layer are those of the embedding."""
    lstm, = language_model_architecture(30, emsize=20, nhid=40, nlayers=1, sparse_mode=mode,
                                     sparse_fract=1. if mode == "direct" else 0.6).lstms
    assert (lstm.input_size, lstm.hidden_size) == (20, 20)
    assert lstm.reductions == reductions and (lstm.components > 1) == (reductions is not None)


@pytest.mark.parametrize("mode", sorted(SPARSE_MODES))
def test_a_fraction_of_1_is_the_dense_network(mode):
    assert language_model_architecture(30, emsize=4, nhid=6, sparse_mode=mode) == language_model_architecture(
        30, emsize=4, nhid=6)


@pytest.mark.parametrize("sizes", [dict(nhid=1), dict(emsize=1), dict(nhid=1, emsize=1), dict(nhidlast=1),
                                   dict(nhid=1, emsize=1, nlayers=1, vocabulary_size=1)], ids=str)
def test_one_unit(sizes):
    sizes = dict(dict(vocabulary_size=9, emsize=4, nhid=6), **sizes)
    architecture = language_model_architecture(**sizes)
    assert architecture.lstms[0].input_size == sizes["emsize"]
    assert architecture.last_hidden_size == sizes.get("nhidlast", sizes["emsize"])
    assert architecture.parameter_counts()["total"] > 0


# -- tagger ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("layers", [1, 2, 3])
def test_counts_of_the_tagger(layers):
    architecture = tagger_architecture(30, tags=6, emsize=5, nhid=4, layers=layers)
    lstms = 2 * dense(5, 4) + (layers - 1) * 2 * dense(8, 4)
    assert architecture.parameter_counts() == {"embedding": 150, "lstms": lstms, "dense": 9 * 4 + 5 * 6,
                                            "total": 150 + lstms + 9 * 4 + 5 * 6}


def test_counts_of_the_tagger_with_a_sparse_embedding():
    architecture = tagger_architecture(100, tags=1, emsize=10, nhid=1, emb_blocks=5, emb_density=0.4)
    counts = architecture.parameter_counts()
    assert counts["embedding"] == architecture.embedding.parameters and abs(counts["embedding"] - 400) <= 2
    assert counts["total"] == counts["embedding"] + 2 * dense(10, 1) + 3 + 2


# -- refusals ----------------------------------------------------------------------------------------------------------

def language_model(**options):
    return lambda: language_model_architecture(**dict(dict(vocabulary_size=30, emsize=8, nhid=9), **options))


def tagger(**options):
    return lambda: tagger_architecture(**dict(dict(vocabulary_size=30, tags=3, emsize=8, nhid=9), **options))


@pytest.mark.parametrize("make, message", [
    (language_model(sparse_mode="sparse"),
     "sparse_mode must be one of direct, sparse_all, sparse_emb, sparse_hidden, got 'sparse'"),
    (language_model(sparse_mode="sparse_all", sparse_fract=0.),
     "sparse_fract must be in (0, 1], got 0.0"),
    (language_model(sparse_mode="sparse_all", sparse_fract=1.1),
     "sparse_fract must be in (0, 1], got 1.1"),
    (language_model(sparse_mode="sparse_all", sparse_fract=float("nan")),
     "sparse_fract must be in (0, 1], got nan"),
    (language_model(sparse_fract=0.5),
     "sparse_fract 0.5 has no effect with sparse_mode direct; expected one of sparse_all, sparse_emb, sparse_hidden"),
    (language_model(nlayers=0), "nlayers must be at least 1, got 0"),
    (language_model(n_experts=0), "n_experts must be at least 1, got 0"),
    (language_model(emsize=-3), "emsize must be at least 1, got -3"),
    (language_model(nhid=0), "nhid must be at least 1, got 0"),
    (language_model(nhidlast=0), "nhidlast must be at least 1, got 0"),
    (language_model(nhidlast=-2), "nhidlast must be at least 1, got -2"),
    (language_model(emblocks=0), "emblocks must be at least 1, got 0"),
    (tagger(tags=0), "tags must be at least 1, got 0"),
    (tagger(emsize=0), "emsize must be at least 1, got 0"),
    (tagger(nhid=-1), "nhid must be at least 1, got -1"),
    (tagger(layers=0), "layers must be at least 1, got 0"),
    (tagger(emb_blocks=0), "emb_blocks must be at least 1, got 0"),
])
def test_refusals(make, message):
    with pytest.raises(ReportedError) as refusal:
        make()
    assert str(refusal.value) == message


@pytest.mark.parametrize("make, options, inner", [
    (language_model(emblocks=4, emdensity=0.2), "emblocks, emdensity",
     "density 0.2 is too small with 4 blocks; expected density at least 0.25 or blocks at least 5"),
    (language_model(emdensity=0.), "emblocks, emdensity", "density must be in (0, 1], got 0.0"),
    (language_model(vocabulary_size=0), "emblocks, emdensity",
     "vocabulary_size must be an integer from 1 to 100000000, got 0"),
    (tagger(emb_blocks=4, emb_density=0.2), "emb_blocks, emb_density",
     "density 0.2 is too small with 4 blocks; expected density at least 0.25 or blocks at least 5"),
    (language_model(emsize=400, nhid=20, sparse_mode="sparse_all", sparse_fract=0.04),
     "layer 0 with sparse_mode sparse_all, sparse_fract 0.04", "reduce_in 0.04 and reduce_out 0.04 with 400 inputs"),
    (language_model(sparse_mode="sparse_hidden", sparse_fract=0.2),
     "layer 0 with sparse_mode sparse_hidden, sparse_fract 0.2", "reduce_in 1.0 and reduce_out 0.2 with 8 inputs"),
    (language_model(nhid=10, nhidlast=20, sparse_mode="sparse_emb", sparse_fract=0.2),
     "layer 2 with sparse_mode sparse_emb, sparse_fract 0.2", "reduce_in 1.0 and reduce_out 0.2 with 10 inputs"),
    (language_model(emsize=1, sparse_mode="sparse_hidden", sparse_fract=0.5),
     "layer 0 with sparse_mode sparse_hidden, sparse_fract 0.5",
     "reduce_in and reduce_out need at least 2 inputs, got 1 input"),
])
def test_errors_of_the_geometry_name_the_options(make, options, inner):
    with pytest.raises(ReportedError) as refusal:
        make()
    message = str(refusal.value)
    assert message.startswith("%s: %s" % (options, inner)) and "\n" not in message
    assert isinstance(refusal.value.__cause__, GeometryError)


def test_needs_neither_theano_nor_numpy():
    """Invalid options are reported before Theano is imported."""
    code = ("import sys, sparse_seq_theano.architecture; "
            "sys.exit(bool({'theano', 'numpy', 'lasagne'} & set(sys.modules)))")
    subprocess.check_call([sys.executable, "-c", code], cwd=os.path.join(os.path.dirname(__file__), "..", ".."))
