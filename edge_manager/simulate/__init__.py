"""`edge-manager fleet simulate`: many agents in one process, over HTTP, for benches and for people who try the service.

A client like any other: it knows the API and nothing of the server.
"""
