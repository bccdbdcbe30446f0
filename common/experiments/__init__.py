"""The book's experiments: `python -m common.experiments.NAME` runs one and writes its JSON."""
