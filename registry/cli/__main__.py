"""`python -m registry.cli` is `chorus`."""

from registry.cli import main

main()
