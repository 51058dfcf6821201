{{- /* A time such as 1h30m or 250ms in milliseconds. */}}
{{- define "gatewayqueue.milliseconds" -}}
{{- $sum := 0.0 }}
{{- range regexFindAll `[0-9.]+(ns|us|ms|s|m|h)` . -1 }}
{{- $unit := regexFind `[a-z]+$` . }}
{{- $sum = addf $sum (mulf (float64 (trimSuffix $unit .)) (get (dict "ns" 0.000001 "us" 0.001 "ms" 1.0 "s" 1000.0 "m" 60000.0 "h" 3600000.0) $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{- /* files/flags.yaml has the ranges: scripts/manifests asks the program for them. */}}
{{- define "gatewayqueue.checkTimes" -}}
{{- $ranges := get (.Files.Get "files/flags.yaml" | fromYaml) (ternary "serve" "proxy" (eq .Values.mode "serve")) }}
{{- range $flag, $value := .Values.config }}
{{- with get $ranges $flag }}
{{- $is := include "gatewayqueue.milliseconds" $value | float64 }}
{{- if or (lt $is (include "gatewayqueue.milliseconds" .least | float64)) (gt $is (include "gatewayqueue.milliseconds" .most | float64)) }}
{{- fail (printf "config.%s is %q: want a time with its unit from %s to %s" $flag $value .least .most) }}
{{- end }}
{{- end }}
{{- end }}
{{- $drain := get .Values.config "drain" | default "0s" }}
{{- $grace := get .Values.config "grace" | default "10s" }}
{{- $ending := addf (include "gatewayqueue.milliseconds" $drain | float64) (include "gatewayqueue.milliseconds" $grace | float64) }}
{{- if and (ne .Values.mode "sidecar") (lt (mulf 1000.0 (float64 .Values.terminationGracePeriodSeconds)) $ending) }}
{{- fail (printf "terminationGracePeriodSeconds is %v: want as long as config.drain (%s) and config.grace (%s) together, or longer" .Values.terminationGracePeriodSeconds $drain $grace) }}
{{- end }}
{{- end }}
