"""As much of the Prometheus operator's kinds as ours have to satisfy: what it does not know is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.cluster import Cluster

_DEFINITIONS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, plural: servicemonitors}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [endpoints, selector]
              properties:
                selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}
                endpoints: {type: array, items: {type: object, properties: {port: {type: string}, interval: {type: string}}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheusrules.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: PrometheusRule, plural: prometheusrules}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              properties:
                groups:
                  type: array
                  items:
                    type: object
                    required: [name]
                    properties:
                      name: {type: string, minLength: 1}
                      rules:
                        type: array
                        items:
                          type: object
                          required: [expr]
                          properties:
                            alert: {type: string}
                            annotations: {type: object, additionalProperties: {type: string}}
                            expr: {type: string}
                            for: {type: string, pattern: "^[0-9]+(ms|s|m|h)$"}
                            labels: {type: object, additionalProperties: {type: string}}
"""
_KINDS = ("servicemonitors", "prometheusrules")


def remove_monitoring(cluster: Cluster) -> None:
    """Let the cluster know neither of the two."""
    cluster.kubectl("delete", "crd", "--ignore-not-found", *(f"{kind}.monitoring.coreos.com" for kind in _KINDS))


def install_monitoring(cluster: Cluster) -> None:
    """Let the cluster know ServiceMonitors and PrometheusRules."""
    cluster.kubectl("apply", "--server-side", "--filename=-", input=_DEFINITIONS)
    names = (f"crd/{kind}.monitoring.coreos.com" for kind in _KINDS)
    cluster.kubectl("wait", "--for=condition=Established", *names)
