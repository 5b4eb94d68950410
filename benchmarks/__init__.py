"""Measures trmm_async's public API against rivals: `python -m benchmarks`, or with names of cases.

`cases` say what is measured, over `measure` (interleaving, medians of ratios, noise), `rivals` (the same work
done by others), `server` (a load server in its own process), `contestant` and `probes` (what needs a process
of its own). `report` holds the result, `plot` draws it. Nothing of the SDK imports any of this.
"""
