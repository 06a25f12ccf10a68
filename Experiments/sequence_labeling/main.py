"""Part-of-speech tagging with a sparse embedding: ``python main.py``; see ``python main.py --help``."""

from Experiments.shared.cli import main
from Experiments.shared.config import Experiment, Setting
from Experiments.shared.data.demo import prepare_demo
from Experiments.shared.data.tagged_sentences import TAGGED_CORPORA, default_tagged_folder, load_tagged
from Experiments.shared.data.vocabulary import ORDERINGS
from Experiments.shared.memory import tagger_memory
from Experiments.shared.readers import (
    choice,
    layer_count,
    non_negative_number,
    path,
    positive_integer,
    positive_number,
    probability,
    seed,
    share,
)
from Experiments.shared.sparse_experiments import FREE, architecture_of_tagger

EXPERIMENT = Experiment(
    name="sequence_labeling",
    description="Train a bidirectional LSTM tagger, with a dense or a sparse embedding. The data are the Wall Street "
                "Journal part of the Penn Treebank if data/wsj exists, else CoNLL-2000, or those of --corpus.",
    task="Experiments.shared.tasks.tagging:TaggingTask",
    load_data=lambda settings: load_tagged(settings.data, settings.vocab_order, settings.seed),
    prepare_demo=prepare_demo,
    check=architecture_of_tagger,
    memory=tagger_memory,
    default_data=lambda folder, settings: default_tagged_folder(folder, settings.corpus),
    settings=[
        Setting("data", "data/wsj, else data/conll2000", path, "folder with wsj_{train,valid,test}.conll and tags.txt, "
                                                               "from prepare_data.py"),
        Setting("corpus", None, choice(TAGGED_CORPORA + (None,)), "read data/CORPUS: wsj, conll2000 or ewt (English "
                                                                  "Web Treebank)", added=True),
        Setting("save", "results", path, "folder of the run"),
        Setting("seed", 1982, seed, "random seed"),
        Setting("epochs", 300, positive_integer, "train to this epoch"),
        Setting("emsize", 100, positive_integer, "embedding units"),
        Setting("emb_blocks", 1, positive_integer, "column blocks of the sparse embedding"),
        Setting("emb_density", 1., share, "stored share of the embedding's entries, at least 1/emb_blocks"),
        Setting("vocab_order", "up", choice(ORDERINGS), "order of the vocabulary: up (least frequent word first, as a "
                                                        "sparse embedding needs it), down, none (as they occur) or "
                                                        "rand"),
        Setting("nhid", 50, positive_integer, "hidden units of each direction, and of the layer before the tags"),
        Setting("layers", 1, layer_count, "number of bidirectional LSTMs"),
        Setting("batch_size", 20, positive_integer, "sentences in a minibatch"),
        Setting("optimizer", "adam", choice(["adam", "sgd"]), "adam or sgd"),
        Setting("lr", 0.001, positive_number, "learning rate"),
        Setting("momentum", 0., probability, "momentum of sgd"),
        Setting("l2", 0., non_negative_number, "weight of the L2 penalty's gradient"),
        Setting("dropouti", 0., probability, "dropout of embedding dimensions"),
        Setting("dropoute", 0., probability, "dropout of words"),
        Setting("wdrop", 0., probability, "dropout of the first LSTM's recurrent weights"),
        Setting("dropouth", 0., probability, "dropout between LSTMs and before the tags"),
    ],
    demo=dict(emsize=20, emb_blocks=20, emb_density=0.25, nhid=10, epochs=20, lr=0.005),
    free=FREE)

if __name__ == "__main__":
    main(EXPERIMENT)
