{{/* The objects that workloads have in common. Each is given the dict of _pod.tpl. */}}

{{/*
No account's token gets into pods by itself. The two stages that ask the Kubernetes API have a role (roles.yaml), and
their pods ask for the token.
*/}}
{{- define "anmodel.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "anmodel.name" (list .root .stage) }}
  labels:
    {{- include "anmodel.labels" (list .root .stage) | nindent 4 }}
  {{- with (get .root.Values .stage).serviceAccountAnnotations | default .root.Values.pods.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- define "anmodel.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "anmodel.name" (list .root .stage) }}
  labels:
    {{- include "anmodel.labels" (list .root .stage) | nindent 4 }}
spec:
  selector:
    {{- include "anmodel.selector" (list .root .stage) | nindent 4 }}
  ports:
    - {name: http, port: {{ include "anmodel.port" .stage }}, targetPort: http, protocol: TCP, appProtocol: http}
{{- end }}

{{/* `scaled`: something else decides how many pods there are. */}}
{{- define "anmodel.deployment" -}}
{{- $values := get .root.Values .stage -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "anmodel.name" (list .root .stage) }}
  labels:
    {{- include "anmodel.labels" (list .root .stage) | nindent 4 }}
spec:
  {{- if and (hasKey $values "replicas") (not .scaled) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  {{- with $values.strategy }}
  strategy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "anmodel.selector" (list .root .stage) | nindent 6 }}
  template:
    {{- include "anmodel.pod" (merge (dict "spread" true) .) | nindent 4 }}
{{- end }}

{{/* Its name carries the revision: what a Job does cannot be changed, so each install and upgrade has its own. */}}
{{- define "anmodel.job" -}}
{{- $values := get .root.Values .stage -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "anmodel.name" (list .root .stage) }}-{{ .root.Release.Revision }}
  labels:
    {{- include "anmodel.labels" (list .root .stage) | nindent 4 }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  backoffLimit: {{ $values.retries }}
  ttlSecondsAfterFinished: {{ $values.keepSeconds }}
  template:
    {{- $pod := include "anmodel.pod" . | fromYaml }}
    {{- $_ := set $pod.spec "restartPolicy" "Never" }}
    {{- toYaml $pod | nindent 4 }}
{{- end }}

{{/* Of several pods one at a time may be drained; a single one must be allowed to go, or its node could not. `least` is how many there are at least; `selector` their labels, where they are not the stage's. */}}
{{- define "anmodel.podDisruptionBudget" -}}
{{- if and (get .root.Values .stage).pdb (gt (int .least) 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "anmodel.name" (list .root .stage) }}
  labels:
    {{- include "anmodel.labels" (list .root .stage) | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- .selector | default (include "anmodel.selector" (list .root .stage)) | nindent 6 }}
{{- end }}
{{- end }}

{{- define "anmodel.autoscaler" -}}
{{- with (get .root.Values .stage).autoscaling -}}
{{- if .enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "anmodel.name" (list $.root $.stage) }}
  labels:
    {{- include "anmodel.labels" (list $.root $.stage) | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "anmodel.name" (list $.root $.stage) }}}
  minReplicas: {{ .min }}
  maxReplicas: {{ .max }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .cpuPercent }}}}
{{- end }}
{{- end }}
{{- end }}
