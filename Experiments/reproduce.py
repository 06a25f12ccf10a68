"""Reproduce a published table: ``python reproduce.py TABLE``; see ``python reproduce.py --help``."""

from Experiments.shared.reproduction.command_line import main

if __name__ == "__main__":
    main()
