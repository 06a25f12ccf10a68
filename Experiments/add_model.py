"""Add the compressed network of a finished run to the folder models: ``python add_model.py RUN --name NAME``."""

from Experiments.shared.model_cards import main

if __name__ == "__main__":
    main()
