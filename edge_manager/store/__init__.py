"""Where the service keeps things: SQLAlchemy Core over SQLite or PostgreSQL.

A call is one transaction, and what was answered is on disk. Nothing here decides; that is the domain's.
"""
