{{/*
Name of the chart.
*/}}
{{- define "edge-manager.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Name of the release's objects, at most 63 characters as some Kubernetes names allow no more.
*/}}
{{- define "edge-manager.fullname" -}}
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
Chart name and version as the chart label has them.
*/}}
{{- define "edge-manager.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Common labels
*/}}
{{- define "edge-manager.labels" -}}
helm.sh/chart: {{ include "edge-manager.chart" . }}
{{ include "edge-manager.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/*
Selector labels
*/}}
{{- define "edge-manager.selectorLabels" -}}
app.kubernetes.io/name: {{ include "edge-manager.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/*
Name of the service's ServiceAccount
*/}}
{{- define "edge-manager.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "edge-manager.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/*
The image, by digest or tag
*/}}
{{- define "edge-manager.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/*
The service's data: SQLite on a volume, or PostgreSQL
*/}}
{{- define "edge-manager.isSqlite" -}}
{{- if not .Values.database.existingSecret }}true{{ end }}
{{- end }}

{{/*
Refuses what cannot work
*/}}
{{- define "edge-manager.check" -}}
{{- if and (include "edge-manager.isSqlite" .) (gt (int .Values.replicas) 1) }}
{{- fail "replicas: one pod alone serves a SQLite file; more need PostgreSQL, see database.existingSecret" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.hosts: an Ingress needs at least one name" }}
{{- end }}
{{- if and .Values.metrics.enabled (eq (int .Values.metrics.port) 4578) }}
{{- fail "metrics.port: 4578 is the port of the API" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "metrics.serviceMonitor.enabled: there is nothing to scrape without metrics.enabled" }}
{{- end }}
{{- end }}

{{/*
Name of the Secret with the encryption key
*/}}
{{- define "edge-manager.encryptionSecret" -}}
{{- $made := printf "%s-encryption" (include "edge-manager.fullname" . | trunc 52 | trimSuffix "-") }}
{{- default $made .Values.encryptionKey.existingSecret }}
{{- end }}

{{/*
Name of the claim of SQLite's volume
*/}}
{{- define "edge-manager.claim" -}}
{{- .Values.persistence.existingClaim | default (include "edge-manager.fullname" .) }}
{{- end }}

{{/*
Name of the Service of the metrics
*/}}
{{- define "edge-manager.metricsService" -}}
{{- printf "%s-metrics" (include "edge-manager.fullname" . | trunc 55 | trimSuffix "-") }}
{{- end }}

{{/*
Refuse a value that asks for a kind of the Prometheus operator's where the cluster has none. Whoever renders without a
cluster knows no kinds, not even Kubernetes' own: nothing is refused then.
*/}}
{{- define "edge-manager.monitoringKind" -}}
{{- $served := (index . 0).Capabilities.APIVersions }}
{{- $kind := printf "monitoring.coreos.com/v1/%s" (index . 1) }}
{{- if and ($served.Has "apps/v1/Deployment") (not ($served.Has $kind)) }}
{{- $why := printf "%s needs the kind %s, which this cluster does not have" (index . 2) $kind }}
{{- fail (printf "%s: install the Prometheus operator's definitions first, or set it to false" $why) }}
{{- end }}
{{- end }}
