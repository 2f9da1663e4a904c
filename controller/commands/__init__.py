"""The verbs of `edgeplan`, a module for each; what they print is made by pure functions (`view.py`, `show.py`).

Those that look at AWS from a workstation or a CI job read and never write: Describe, List and ListTags. Those that look
at objects have the rights that whoever calls them has in the cluster.
"""
