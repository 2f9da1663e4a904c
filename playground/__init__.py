"""A place to try it all on one machine: a local Kubernetes API, the programs that it needs, and the demo.

Not part of the operator, nor of its image.
"""
