"""Our statuses as kstatus' own algorithm reads them, which is how Flux and `kubectl wait`-like tools decide."""
