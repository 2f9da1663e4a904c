"""The running operator: settings, the assembled process, and the wiring to Kopf."""
