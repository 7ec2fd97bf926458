"""How artifacts are made: sources, synthesis, diversity, alignment and evaluation."""
