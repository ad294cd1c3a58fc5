"""Why this word, what else could it have been, and what if: measurements inside a model.

NumPy only. Every function takes a `StepSource`, so it works wherever passes are made, and shares
the line with everybody who writes. `Engine` has a method for each.
"""
