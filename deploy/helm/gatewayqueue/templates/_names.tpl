{{- define "gatewayqueue.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gatewayqueue.fullname" -}}
{{- $name := include "gatewayqueue.name" . }}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $release | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gatewayqueue.component" -}}
{{- ternary "server" "proxy" (eq .Values.mode "serve") }}
{{- end }}

{{- /* What never changes: a Deployment's selector cannot. */}}
{{- define "gatewayqueue.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gatewayqueue.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ include "gatewayqueue.component" . }}
{{- end }}

{{- define "gatewayqueue.labels" -}}
{{ include "gatewayqueue.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The pods of this release, or with mode sidecar those of another chart. */}}
{{- define "gatewayqueue.podSelector" -}}
{{- if eq .Values.mode "sidecar" }}
{{- toYaml .Values.sidecar.podLabels }}
{{- else }}
{{- include "gatewayqueue.selectorLabels" . }}
{{- end }}
{{- end }}

{{- define "gatewayqueue.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "gatewayqueue.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "gatewayqueue.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The name of the container's port. */}}
{{- define "gatewayqueue.portName" -}}
{{- ternary "http" "gateway" (eq .Values.mode "serve") }}
{{- end }}

{{- define "gatewayqueue.port" -}}
{{- ternary "8080" "7777" (eq .Values.mode "serve") }}
{{- end }}

{{- define "gatewayqueue.scheme" -}}
{{- ternary "https" "http" (ne .Values.tls.existingSecret "") }}
{{- end }}
