{{- define "gatewayqueue.probes" -}}
{{- if eq .Values.mode "sidecar" -}}
# The bot is started once the proxy listens.
startupProbe:
  {{- include "gatewayqueue.httpGet" (list . "/healthz") | nindent 2 }}
  periodSeconds: 1
  failureThreshold: 30
# Not /readyz: where Redis is away sessions go on, and RESUMEs pass.
{{- else if eq .Values.mode "proxy" -}}
# Both probes ask whether it runs. /readyz also says whether Redis answers, and
# while it does not, bots must still find a proxy that passes their RESUMEs. A
# pod that ends is taken out of the Service by Kubernetes itself.
{{- else -}}
# Redis being away is no reason for a restart, so it is not asked here.
{{- end }}
livenessProbe:
  {{- include "gatewayqueue.httpGet" (list . "/healthz") | nindent 2 }}
  {{- toYaml .Values.livenessProbe | nindent 2 }}
{{- if ne .Values.mode "sidecar" }}
readinessProbe:
  {{- include "gatewayqueue.httpGet" (list . (ternary "/readyz" "/healthz" (eq .Values.mode "serve"))) | nindent 2 }}
  {{- toYaml .Values.readinessProbe | nindent 2 }}
{{- end }}
{{- end }}

{{- define "gatewayqueue.httpGet" -}}
{{- $root := index . 0 -}}
httpGet:
  path: {{ index . 1 }}
  port: {{ include "gatewayqueue.portName" $root }}
  {{- if $root.Values.tls.existingSecret }}
  scheme: HTTPS
  {{- end }}
{{- end }}
