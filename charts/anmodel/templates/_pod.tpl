{{/*
What all pods have in common, written once. A workload gives a dict:
  root   $
  stage  its name; its values are .Values.<stage>
  env    YAML, variable to value
  refs   YAML, variable to where its value comes from (valueFrom); may be missing
  files  YAML, sources of the volume /run/secrets/anmodel; may be empty
  watched  YAML, sources of the volume /run/secrets/watched: files whose changes it takes up as it runs; may be missing
  args   a list of arguments; without them the image's own are used
  ready  the path of its readiness probe; without it, it does not listen and has no probes
  token  true for a stage that asks the Kubernetes API
  grace  seconds to end in, where the stage's values do not say it
*/}}

{{/* metadata and spec of a pod */}}
{{- define "anmodel.pod" -}}
{{- $values := get .root.Values .stage -}}
{{- $shared := .root.Values.pods -}}
{{- $_ := set . "files" (trim .files) -}}
metadata:
  labels:
    {{- $labels := include "anmodel.podLabels" (list .root .stage) | fromYaml }}
    {{- merge $labels ($values.podLabels | default $shared.podLabels) | toYaml | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .stage }}
    {{- with $values.podAnnotations | default $shared.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "anmodel.name" (list .root .stage) }}
  automountServiceAccountToken: {{ .token | default false }}
  enableServiceLinks: false
  {{- with $values.terminationGracePeriodSeconds | default .grace }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with include "anmodel.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: {{ .stage }}
      image: {{ include "anmodel.image" (list .root (.image | default .stage)) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      {{- with .command }}
      command: {{ toJson . }}
      {{- end }}
      {{- with .args }}
      args: {{ toJson . }}
      {{- end }}
      env:
        {{- include "anmodel.env" . | trim | nindent 8 }}
      {{- if .ready }}
      ports:
        - {name: http, containerPort: {{ include "anmodel.port" .stage }}, protocol: TCP}
      {{- include "anmodel.probes" . | nindent 6 }}
      {{- end }}
      {{- with $values.preStopSeconds }}
      lifecycle: {preStop: {sleep: {seconds: {{ . }}}}}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      terminationMessagePolicy: FallbackToLogsOnError
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: {{ not .root.Values.writableCode }}
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if .files }}
        - {name: secrets, mountPath: /run/secrets/anmodel, readOnly: true}
        {{- end }}
        {{- if trim (.watched | default "") }}
        - {name: watched, mountPath: /run/secrets/watched, readOnly: true}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: {{ $values.tmpSize | default "64Mi" }}}}
    {{- with .files }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- . | trim | nindent 10 }}
    {{- end }}
    {{- with trim (.watched | default "") }}
    - name: watched
      projected:
        defaultMode: 0440
        sources:
          {{- . | nindent 10 }}
    {{- end }}
{{- end }}

{{/* Environment variables; extraEnv wins, and no name comes twice. */}}
{{- define "anmodel.env" -}}
{{- $extra := (get .root.Values .stage).extraEnv | default list -}}
{{- $env := include "anmodel.commonEnv" .root | fromYaml -}}
{{- if .files }}{{ $_ := set $env "ANMODEL_SECRETS" "/run/secrets/anmodel" }}{{ end -}}
{{- $env = merge (.env | fromYaml) $env -}}
{{- $refs := .refs | default "" | fromYaml -}}
{{- range $extra }}{{ $env = omit $env .name }}{{ $refs = omit $refs .name }}{{ end -}}
{{- range $name, $value := $env }}
- {name: {{ $name }}, value: {{ toString $value | quote }}}
{{- end }}
{{- range $name, $from := $refs }}
- {name: {{ $name }}, valueFrom: {{ toJson $from }}}
{{- end }}
{{- with $extra }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A stage has startupSeconds to start; then it is started anew after 30 s without a sign of life. */}}
{{- define "anmodel.probes" -}}
{{- $seconds := (get .root.Values .stage).startupSeconds | default .root.Values.pods.startupSeconds -}}
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ div (add $seconds 1) 2 }}
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: {{ .ready }}, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{/* Where a pod runs. */}}
{{- define "anmodel.placement" -}}
{{- $values := get .root.Values .stage -}}
{{- $shared := .root.Values.pods -}}
{{- with $values.priorityClassName | default $shared.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector | default $shared.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations | default $shared.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity | default $shared.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .spread }}
{{- with ternary $values.topologySpread $shared.topologySpread (hasKey $values "topologySpread") }}
{{- $selector := include "anmodel.selector" (list $.root $.stage) | fromYaml | toJson }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector: {matchLabels: {{ $selector }}}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
