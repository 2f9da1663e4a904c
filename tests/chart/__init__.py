"""The chart and the image: real Helm on a real API server of its own, for the CRD and the roles are cluster-wide."""
