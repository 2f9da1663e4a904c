"""The agent: a program on a device that fetches models, switches to them, checks them and reports.

It is a distribution of its own and imports nothing else of edge_manager: Python 3.9, its standard library and boto3.
`decide` says what comes next and touches nothing; `loop` does it.
"""

VERSION = "0.1.0"
