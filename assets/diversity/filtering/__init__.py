"""Filters of rows: what is measured on each row, and the steps that decide from it.

`steps` holds the typed steps, `table` the rows, `measures` what is expensive and kept for a second
run. `shingles`, `minhash`, `semantic`, `contamination`, `language` and `rules` measure; `judging`
applies the steps in order; `outcome` writes what was kept, what was left out, and why.
"""
