"""The API on the wire: who signs a call, what it asks for by botocore's service models, and the answer.

What a call means is the domain's, where things are kept is the store's.
"""
