"""AWD-LSTM with predefined sparseness on Penn Treebank: ``python main.py``; ``python main.py --help`` for the rest."""

from Experiments.shared.sparse_command_line import EntryPoint, language_model

ENTRY = EntryPoint(
    description="Train an AWD-LSTM language model, dense or with predefined sparseness.",
    options=dict(
        data="data/penn", save="dev_runs", seed=141, epochs=500,
        emsize=400, nhid=1150, nhidlast=-1, nlayers=3, n_experts=1,
        emblocks=1, emdensity=1., ordering="up", sparse_mode="direct", sparse_fract=1.,
        lr=30., clip=0.25, batch_size=20, small_batch_size=-1, bptt=70, max_seq_len_delta=40,
        dropout=0.4, dropouth=0.25, dropouti=0.4, dropoute=0.1, dropoutl=-1., wdrop=0.5,
        alpha=2., beta=1., wdecay=1.2e-6, nonmono=5, log_interval=250),
    fixed=dict(entry="main", average_from_start=False, fewest_epochs=0, recite=False, momentum=0.,
               learning_rate_decay=1.),
    demo=dict(emsize=32, nhid=64, epochs=15, lr=10., bptt=20, max_seq_len_delta=10, dropout=0.2, dropouth=0.1,
              dropouti=0.1, wdrop=0.2, log_interval=50))

if __name__ == "__main__":
    language_model(ENTRY)
