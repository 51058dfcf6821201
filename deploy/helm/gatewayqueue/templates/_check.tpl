{{- /* What values.schema.json cannot say. Each message names the value and what it wants. */}}
{{- define "gatewayqueue.check" -}}
{{- $v := .Values }}
{{- include "gatewayqueue.checkFlags" . }}
{{- include "gatewayqueue.checkTimes" . }}
{{- if and $v.redis.url $v.redis.existingSecret }}
{{- fail (printf "redis.url and redis.existingSecret (%q) do not go together: leave one of them empty" $v.redis.existingSecret) }}
{{- end }}
{{- if not (or $v.redis.url $v.redis.existingSecret) }}
{{- fail "redis: want redis.existingSecret, the Secret with the URL of the Redis that all pods share (kubectl create secret generic gatewayqueue --from-literal=redis-url=redis://:PASSWORD@redis:6379), or redis.url, where it holds no password" }}
{{- end }}
{{- if contains "@" $v.redis.url }}
{{- fail "redis.url holds a user or a password: put the whole URL into a Secret, and name that as redis.existingSecret" }}
{{- end }}
{{- $discord := and (eq $v.mode "serve") $v.tokens.discordKey }}
{{- if and (or $v.tokens.authKey $discord) (not $v.tokens.existingSecret) }}
{{- fail (printf "tokens.existingSecret: want the Secret with the keys tokens.authKey (%q)%s; or set to \"\" what there is no token for" $v.tokens.authKey (ternary (printf " and tokens.discordKey (%q)" $v.tokens.discordKey) "" (not (not $discord)))) }}
{{- end }}
{{- if $discord }}
{{- range list "max-concurrency" "total" "remaining" }}
{{- if hasKey $v.config . }}
{{- fail (printf "config.%s (%v) does not go with tokens.discordKey (%q): the limits are Discord's" . (get $v.config .) $v.tokens.discordKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.tls.existingSecret (eq $v.mode "serve") }}
{{- fail (printf "tls.existingSecret (%q) does not go with mode \"serve\": want mode \"proxy\" or \"sidecar\", or an Ingress in front" $v.tls.existingSecret) }}
{{- end }}
{{- if and $v.guard.enabled (ne $v.mode "proxy") }}
{{- fail (printf "guard.enabled (true) does not go with mode %q: want mode \"proxy\"; a sidecar shares its pod's network, and a policy is for a pod" $v.mode) }}
{{- end }}
{{- if and $v.guard.enabled (eq $v.guard.flavor "kubernetes") (not (get $v.config "api")) }}
{{- fail "guard.enabled (true) needs config.api: true: guarded pods reach nothing outside, so they have Discord's API from the proxies; or guard.flavor: cilium, which leaves it open" }}
{{- end }}
{{- end }}

{{- /* The flags in config: files/flags.yaml has those of each command. */}}
{{- define "gatewayqueue.checkFlags" -}}
{{- $command := ternary "serve" "proxy" (eq .Values.mode "serve") }}
{{- $other := ternary "proxy" "serve" (eq .Values.mode "serve") }}
{{- $flags := .Files.Get "files/flags.yaml" | fromYaml }}
{{- $elsewhere := dict "redis" "redis.url or redis.existingSecret" "redis-file" "redis.existingSecret" "auth-token-file" "tokens.existingSecret" "discord-token-file" "tokens.existingSecret" "tls-cert" "tls.existingSecret" "tls-key" "tls.existingSecret" "port" "service.port" "host" "nothing, the pods listen on all addresses" "pod" "nothing, it is the pod's name" }}
{{- range $flag, $value := .Values.config }}
{{- if not (hasKey (get $flags $command) $flag) }}
{{- if hasKey $elsewhere $flag }}
{{- fail (printf "config.%s is not for config: the chart gives the program this flag itself. Want %s" $flag (get $elsewhere $flag)) }}
{{- else if hasKey (get $flags $other) $flag }}
{{- fail (printf "config.%s (%v) does not go with mode %q: it is a flag of gatewayqueue %s. Leave it out%s" $flag $value $.Values.mode $other (ternary "; a proxy knows the application by the bot's own token" "" (eq $flag "app"))) }}
{{- else }}
{{- fail (printf "config.%s (%v) is no flag of gatewayqueue %s: want one of %s" $flag $value $command (keys (get $flags $command) | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
