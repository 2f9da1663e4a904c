"""The Kubernetes API: objects, their status and finalizer, events. Translates, decides nothing."""
