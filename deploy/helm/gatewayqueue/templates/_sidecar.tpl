{{- /*
For a chart that has this one as a dependency, with mode sidecar:

  initContainers:
    {{- include "gatewayqueue.sidecar" .Subcharts.gatewayqueue | nindent 8 }}
  volumes:
    {{- include "gatewayqueue.sidecarVolumes" .Subcharts.gatewayqueue | nindent 8 }}

The second is needed with tls.existingSecret or extraVolumes only. Pods that the PodMonitor
and the NetworkPolicy are to find need the labels sidecar.podLabels.
*/}}
{{- define "gatewayqueue.sidecar" -}}
{{- if ne .Values.mode "sidecar" }}
{{- fail (printf "mode (%q) is not \"sidecar\", which gatewayqueue.sidecar wants" .Values.mode) }}
{{- end }}
{{- include "gatewayqueue.check" . -}}
# A sidecar: it runs as long as the pod does, and is started again by itself. Its
# bot then resumes. A new image of it is a new pod, whose bot has to identify.
{{ include "gatewayqueue.container" . }}
{{- end }}

{{- define "gatewayqueue.sidecarVolumes" -}}
{{- include "gatewayqueue.volumes" . }}
{{- end }}
