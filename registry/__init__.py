"""The registry: what exists, where it came from, and how one node is made.

This package never imports torch, transformers or dagster. Methods live in other packages and are
reached through entry points (see `registry.method`).
"""

__version__ = "0.1.0"
