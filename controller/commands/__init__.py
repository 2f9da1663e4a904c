"""The commands that look at AWS from a workstation or a CI job: `edgeplan diff` and `edgeplan export`.

They read and never write: Describe, List and ListTags are all that they call.
"""
