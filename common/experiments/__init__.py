"""One script per measured claim: `python -m common.experiments.NAME` rewrites its JSON."""
