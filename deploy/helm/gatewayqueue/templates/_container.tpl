{{- /* The program as a container: of the Deployment, or a sidecar. */}}
{{- define "gatewayqueue.container" -}}
{{- $v := .Values }}
{{- $sidecar := eq $v.mode "sidecar" -}}
- name: {{ include "gatewayqueue.component" . }}
  image: {{ include "gatewayqueue.image" . }}
  {{- if ne $v.image.pullPolicy "IfNotPresent" }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  {{- end }}
  {{- if $sidecar }}
  restartPolicy: Always
  {{- end }}
  args:
    - {{ ternary "serve" "proxy" (eq $v.mode "serve") }}
    {{- if $sidecar }}
    # The bot comes by loopback, but probes and Prometheus by the pod's address. A
    # NetworkPolicy keeps others out.
    {{- end }}
    - --host=0.0.0.0
    - --port={{ include "gatewayqueue.port" . }}
    {{- range $flag, $value := $v.config }}
    {{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end }}
    {{- if eq (toString $value) "true" }}
    - --{{ $flag }}
    {{- else }}
    - {{ printf "--%s=%v" $flag $value | toYaml }}
    {{- end }}
    {{- end }}
    {{- if $v.tls.existingSecret }}
    - --tls-cert=/tls/tls.crt
    - --tls-key=/tls/tls.key
    {{- end }}
    {{- range $v.extraArgs }}
    - {{ toYaml . }}
    {{- end }}
  env:
    {{- include "gatewayqueue.env" . | nindent 4 }}
  {{- with $v.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - name: {{ include "gatewayqueue.portName" . }}
      containerPort: {{ include "gatewayqueue.port" . }}
  {{- include "gatewayqueue.probes" . | nindent 2 }}
  resources:
    {{- $v.resources | default (include "gatewayqueue.resources" . | fromYaml) | toYaml | nindent 4 }}
  securityContext:
    {{- if $sidecar }}
    {{- $user := pick $v.podSecurityContext "runAsNonRoot" "runAsUser" "runAsGroup" "seccompProfile" }}
    {{- merge (deepCopy $v.securityContext) $user | toYaml | nindent 4 }}
    {{- else }}
    {{- toYaml $v.securityContext | nindent 4 }}
    {{- end }}
  {{- if or $v.tls.existingSecret $v.extraVolumeMounts }}
  volumeMounts:
    {{- if $v.tls.existingSecret }}
    - name: gatewayqueue-tls
      mountPath: /tls
      readOnly: true
    {{- end }}
    {{- with $v.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* What its mounts need of the pod; nothing as a rule. */}}
{{- define "gatewayqueue.volumes" -}}
{{- if .Values.tls.existingSecret -}}
- name: gatewayqueue-tls
  secret:
    secretName: {{ .Values.tls.existingSecret }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gatewayqueue.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: GATEWAYQUEUE_POD
  value: $(POD_NAME)
- name: REDIS_URL
  {{- if .Values.redis.url }}
  value: {{ .Values.redis.url | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.existingSecret }}
      key: {{ .Values.redis.key }}
  {{- end }}
{{- with .Values.tokens }}
{{- if and .discordKey (eq $.Values.mode "serve") }}
- name: DISCORD_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .discordKey }}
{{- end }}
{{- if .authKey }}
{{- if eq $.Values.mode "sidecar" }}
# For /metrics and /v1/shards. The bot's own token comes with its IDENTIFY.
{{- end }}
- name: GATEWAYQUEUE_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .authKey }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gatewayqueue.resources" -}}
{{- if eq .Values.mode "serve" }}
requests: {cpu: 50m, memory: 64Mi}
limits: {memory: 512Mi}
{{- else if eq .Values.mode "proxy" }}
requests: {cpu: 100m, memory: 128Mi}
limits: {memory: 512Mi}
{{- else }}
requests: {cpu: 10m, memory: 32Mi}
limits: {memory: 128Mi}
{{- end }}
{{- end }}
