"""The benchmark: our way of using Kopf beside two others, on real parts (`make bench`)."""
