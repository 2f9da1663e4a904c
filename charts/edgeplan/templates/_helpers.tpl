{{/*
Name of the chart.
*/}}
{{- define "edgeplan.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Name of the release's objects, at most 63 characters as some Kubernetes names allow no more.
*/}}
{{- define "edgeplan.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Name of what belongs to the whole cluster: two releases may have the same name in two namespaces.
*/}}
{{- define "edgeplan.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "edgeplan.fullname" .) }}
{{- end }}

{{/*
Whether accounts are open by the labels of namespaces: "true", or nothing.
*/}}
{{- define "edgeplan.selectsNamespaces" -}}
{{- if contains "namespaceSelector:" (toYaml .Values.aws) }}true{{ end }}
{{- end }}

{{/*
Chart name and version as the chart label has them.
*/}}
{{- define "edgeplan.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Common labels
*/}}
{{- define "edgeplan.labels" -}}
helm.sh/chart: {{ include "edgeplan.chart" . }}
{{ include "edgeplan.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/*
Selector labels
*/}}
{{- define "edgeplan.selectorLabels" -}}
app.kubernetes.io/name: {{ include "edgeplan.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/*
Name of the operator's ServiceAccount
*/}}
{{- define "edgeplan.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "edgeplan.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/*
Name of the Service that Prometheus scrapes, and so of its job
*/}}
{{- define "edgeplan.metricsService" -}}
{{- printf "%s-metrics" (include "edgeplan.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{/*
The image, by digest or tag
*/}}
{{- define "edgeplan.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/*
Rules for the objects and their events, in all namespaces or in each watched one.
*/}}
{{- define "edgeplan.objectRules" -}}
- apiGroups: [edgeplan.dev]
  resources: [edgedeploymentplans]
  # patch: the finalizer. get: whether the object that an AWS plan's tag names is still there.
  verbs: [get, list, patch, watch]
- apiGroups: [edgeplan.dev]
  resources: [edgedeploymentplans/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  # patch: an event that repeats is counted, not written again.
  verbs: [create, patch]
{{- end }}
