"""How the schema came to be: one file per released version in `versions/`."""
