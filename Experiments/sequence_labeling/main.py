"""Part-of-speech tagging with a sparse embedding: ``python main.py``; ``python main.py --help`` for the rest."""

from Experiments.shared.sparse_command_line import EntryPoint, tagger

ENTRY = EntryPoint(
    description="Train a bidirectional LSTM tagger, with a dense or a sparse embedding. The data are the Wall Street "
                "Journal's if they are in data/wsj, else CoNLL-2000.",
    options=dict(
        data="data/wsj, else data/conll2000", save="results", seed=1982, epochs=300,
        emsize=100, emb_blocks=1, emb_density=1., vocab_order="up", nhid=50, layers=1,
        batch_size=20, optimizer="adam", lr=0.001, momentum=0., l2=0.,
        dropouti=0., dropoute=0., wdrop=0., dropouth=0.),
    fixed=dict(),
    demo=dict(emsize=20, emb_blocks=20, emb_density=0.25, nhid=10, epochs=20, lr=0.005))

if __name__ == "__main__":
    tagger(ENTRY)
