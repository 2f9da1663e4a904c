"""Other ways of using Kopf for the same job, as small as they can honestly be: what ours is measured against."""
