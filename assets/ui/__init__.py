"""Dagster: how declarations appear in its UI, and how it hears of what other doors made."""
