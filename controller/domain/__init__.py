"""The pure core: state in, value out.

Standard library and pydantic only; no clock, no randomness, no I/O (a test checks the imports).
"""
