"""The resource on paper: the CustomResourceDefinition, and manifests in files checked by its rules."""
