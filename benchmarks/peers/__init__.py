"""tailtune against other tools, on the same images, cuts, backbone and weights: `python -m benchmarks.peers`.

`tools` runs in an environment of its own, made by `make bench-env`; everything else in tailtune's.
"""
