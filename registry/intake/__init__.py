"""From figures that others published to proposed value profiles: `chorus profile import`.

`survey` reads answers of respondents, `percentages` a ready table, `polis` the votes of a Polis
conversation, `norms` a file of Social Chemistry 101. `difference` says whether the groups differ
enough to be worth separate alignment, and `proposal` writes what was found, or nothing.
"""
