"""The thin shell: everything that talks to AWS or to the Kubernetes API. Adapters translate and call; they decide nothing."""
