"""How the shipped models were made: photographs, training, evaluation, conversion. Run from the repository."""
