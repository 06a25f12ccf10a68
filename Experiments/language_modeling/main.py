"""AWD-LSTM with predefined sparseness on Penn Treebank: ``python main.py``; see ``python main.py --help``."""

import os

from Experiments.shared.cli import main
from Experiments.shared.config import Experiment, Setting
from Experiments.shared.data.demo import prepare_demo
from Experiments.shared.data.language_modeling import load_corpus
from Experiments.shared.data.vocabulary import ORDERINGS
from Experiments.shared.memory import language_model_memory
from Experiments.shared.readers import (
    choice,
    layer_count,
    non_negative_integer,
    non_negative_number,
    path,
    positive_integer,
    positive_integer_or_unset,
    positive_number,
    probability,
    probability_or_unset,
    seed,
    share,
)
from Experiments.shared.sparse_experiments import FREE, architecture_of_language_model
from sparse_seq_theano.architecture import SPARSE_MODES

EXPERIMENT = Experiment(
    name="language_modeling",
    description="Train an AWD-LSTM language model, dense or with predefined sparseness.",
    task="Experiments.shared.tasks.awd_lstm:AWDTask",
    load_data=lambda settings: load_corpus(settings.data, settings.ordering, settings.seed),
    prepare_demo=prepare_demo,
    check=architecture_of_language_model,
    memory=language_model_memory,
    default_data=os.path.join("data", "penn"),
    settings=[
        Setting("data", "data/penn", path, "folder with train.txt, valid.txt and test.txt; ./getdata.sh makes "
                                           "data/penn and data/wikitext-2"),
        Setting("save", "dev_runs", path, "folder of the run"),
        Setting("seed", 141, seed, "random seed"),
        Setting("epochs", 500, positive_integer, "train to this epoch at most"),
        Setting("emsize", 400, positive_integer, "embedding units"),
        Setting("nhid", 1150, positive_integer, "hidden units of each LSTM but the last"),
        Setting("nhidlast", -1, positive_integer_or_unset, "hidden units of the last LSTM; -1: as emsize"),
        Setting("nlayers", 3, layer_count, "number of LSTMs"),
        Setting("n_experts", 1, positive_integer, "number of softmaxes in the mixture"),
        Setting("emblocks", 1, positive_integer, "column blocks of the sparse embedding"),
        Setting("emdensity", 1., share, "stored share of the embedding's entries, at least 1/emblocks"),
        Setting("ordering", "up", choice(ORDERINGS), "order of the vocabulary: up (least frequent word first, as a "
                                                     "sparse embedding needs it), down, none (as they occur) or rand"),
        Setting("sparse_mode", "direct", choice(list(SPARSE_MODES)), "which sizes sparse_fract reduces: direct (none, "
                                                                     "dense LSTMs), sparse_hidden, sparse_emb, "
                                                                     "sparse_all"),
        Setting("sparse_fract", 1., share, "an LSTM has as many parameters as a dense one whose reduced sizes are "
                                           "multiplied by sparse_fract"),
        Setting("lr", 30., positive_number, "learning rate for a window of bptt words"),
        Setting("clip", 0.25, positive_number, "bound of the gradient norm"),
        Setting("batch_size", 20, positive_integer, "streams that are trained on in parallel"),
        Setting("small_batch_size", -1, positive_integer_or_unset, "accumulate the gradients of this many streams at a "
                                                                   "time, to save memory; -1: all at once"),
        Setting("bptt", 70, positive_integer, "mean number of words in a window"),
        Setting("max_seq_len_delta", 40, non_negative_integer, "maximum number of words above bptt in a window"),
        Setting("dropout", 0.4, probability, "dropout of the last LSTM's output"),
        Setting("dropouth", 0.25, probability, "dropout between LSTMs"),
        Setting("dropouti", 0.4, probability, "dropout of embedding dimensions"),
        Setting("dropoute", 0.1, probability, "dropout of words"),
        Setting("dropoutl", -1., probability_or_unset, "dropout before the softmaxes, if nhidlast is not n_experts * "
                                                       "emsize; -1: as dropouth"),
        Setting("wdrop", 0.5, probability, "dropout of recurrent weights"),
        Setting("alpha", 2., non_negative_number, "weight of the activation regularisation"),
        Setting("beta", 1., non_negative_number, "weight of the temporal activation regularisation"),
        Setting("wdecay", 1.2e-6, non_negative_number, "weight decay"),
        Setting("nonmono", 5, positive_integer, "averaging begins when the validation loss is above the best of all "
                                                "epochs before the last nonmono"),
        Setting("log_interval", 250, positive_integer, "number of minibatches between lines of the log"),
    ],
    fixed=dict(entry="main", average_from_start=False, fewest_epochs=0, recite=False, momentum=0.,
               learning_rate_decay=1.),
    demo=dict(emsize=32, nhid=64, epochs=15, lr=10., bptt=20, max_seq_len_delta=10, dropout=0.2, dropouth=0.1,
              dropouti=0.1, wdrop=0.2, log_interval=50),
    free=FREE)

if __name__ == "__main__":
    main(EXPERIMENT)
