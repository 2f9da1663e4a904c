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
{{- include "edgeplan.imageName" (list .Values.image .Chart.AppVersion) }}
{{- end }}

{{/*
An image, of its values and the tag that it has without one
*/}}
{{- define "edgeplan.imageName" -}}
{{- $image := index . 0 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository ($image.tag | default (index . 1)) }}
{{- end }}
{{- end }}

{{/*
Name of the sandbox's objects
*/}}
{{- define "edgeplan.sandboxName" -}}
{{- printf "%s-sandbox" (include "edgeplan.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{/*
Labels of the sandbox. Its name label is another one, so that nothing that selects the operator selects it.
*/}}
{{- define "edgeplan.sandboxLabels" -}}
helm.sh/chart: {{ include "edgeplan.chart" . }}
{{ include "edgeplan.sandboxSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "edgeplan.sandboxSelectorLabels" -}}
app.kubernetes.io/name: {{ include "edgeplan.name" . | trunc 55 | trimSuffix "-" }}-sandbox
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/*
Where SageMaker is: the sandbox, another endpoint, or empty for AWS's own
*/}}
{{- define "edgeplan.endpointUrl" -}}
{{- if .Values.sandbox.enabled }}
{{- printf "http://%s.%s.svc:4577" (include "edgeplan.sandboxName" .) .Release.Namespace }}
{{- else }}
{{- .Values.aws.endpointUrl }}
{{- end }}
{{- end }}

{{/*
Region of plans that name none. In the sandbox each is as good as any other.
*/}}
{{- define "edgeplan.region" -}}
{{- .Values.aws.region | default (ternary "eu-west-1" "" .Values.sandbox.enabled) }}
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

{{/*
The Leases: one, and with several shards one for each of them and one for each operator that acts.
*/}}
{{- define "edgeplan.leases" -}}
{{- $name := include "edgeplan.fullname" . }}
{{- $leases := list $name }}
{{- if gt (int .Values.controller.shards) 1 }}
{{- range $shard := until (int .Values.controller.shards) }}
{{- $leases = concat $leases (list (printf "%s-%d" $name $shard) (printf "%s-member-%d" $name $shard)) }}
{{- end }}
{{- end }}
{{- join ", " $leases }}
{{- end }}

{{/*
What the values ask for together and cannot be: told before anything is installed
*/}}
{{- define "edgeplan.contradictions" -}}
{{- if and .Values.sandbox.enabled .Values.aws.endpointUrl }}
{{- fail "sandbox.enabled and aws.endpointUrl exclude each other: plans are either in the sandbox or there" }}
{{- end }}
{{- if and .Values.aws.regions (dig "regions" false (.Values.aws.default | default dict)) }}
{{- fail "aws.regions is a shorthand for aws.default.regions: set one of the two" }}
{{- end }}
{{- if and .Values.auditLog (ne .Values.auditLog "-") }}
{{- $log := .Values.auditLog }}
{{- $mounted := false }}
{{- range .Values.extraVolumeMounts }}
{{- if and (hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $log) (not .readOnly) }}
{{- $mounted = true }}
{{- end }}
{{- end }}
{{- if not $mounted }}
{{- $why := printf "auditLog is the file %s, and the pod's root file system is read-only" $log }}
{{- fail (printf "%s: mount a writable volume there by extraVolumes and extraVolumeMounts, or set it to -" $why) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Refuse a value that asks for a kind of the Prometheus operator's where the cluster has none. Whoever renders without a
cluster knows no kinds, not even Kubernetes' own: nothing is refused then.
*/}}
{{- define "edgeplan.monitoringKind" -}}
{{- $served := (index . 0).Capabilities.APIVersions }}
{{- $kind := printf "monitoring.coreos.com/v1/%s" (index . 1) }}
{{- if and ($served.Has "apps/v1/Deployment") (not ($served.Has $kind)) }}
{{- $why := printf "%s needs the kind %s, which this cluster does not have" (index . 2) $kind }}
{{- fail (printf "%s: install the Prometheus operator's definitions first, or set it to false" $why) }}
{{- end }}
{{- end }}
