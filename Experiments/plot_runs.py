"""Curves of several runs in one figure: ``python plot_runs.py RUN RUN --out FIGURE.png``; see ``--help``."""

from Experiments.shared.compare_runs import main

if __name__ == "__main__":
    main()
