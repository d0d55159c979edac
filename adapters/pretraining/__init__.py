"""How the starters were made, runnable again: ``python -m adapters.pretraining.<name> DATA``."""
