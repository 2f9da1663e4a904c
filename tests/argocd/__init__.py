"""Argo CD itself, the real program: what it makes of our objects, offline and as a running GitOps controller."""
