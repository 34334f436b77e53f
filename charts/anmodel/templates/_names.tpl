{{/* What things are called. A stage is given as (list $ "collector"). */}}

{{- define "anmodel.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* The name of a stage's objects. */}}
{{- define "anmodel.name" -}}
{{- printf "%s-%s" (include "anmodel.fullname" (first .)) (last .) -}}
{{- end }}

{{/* Labels by which all pods of this release are chosen. */}}
{{- define "anmodel.releaseSelector" -}}
app.kubernetes.io/part-of: anmodel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels by which a stage's pods are chosen. They never change: a Deployment's selector cannot. */}}
{{- define "anmodel.selector" -}}
app.kubernetes.io/name: anmodel
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* Labels of a stage's pods: nothing that changes from one chart version to the next, or pods would be replaced for it. */}}
{{- define "anmodel.podLabels" -}}
{{ include "anmodel.selector" . }}
app.kubernetes.io/part-of: anmodel
{{- end }}

{{/* All labels of a stage's objects. */}}
{{- define "anmodel.labels" -}}
{{- $chart := (first .).Chart -}}
{{ include "anmodel.podLabels" . }}
app.kubernetes.io/version: {{ $chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $chart.Name $chart.Version | replace "+" "_" }}
{{- end }}

{{/* The image of a stage. */}}
{{- define "anmodel.image" -}}
{{- $image := (first .).Values.image -}}
{{- $name := printf "%s/%s:%s" $image.repository (last .) ($image.tag | default (first .).Chart.AppVersion) -}}
{{- ternary (printf "%s/%s" $image.registry $name) $name (ne $image.registry "") -}}
{{- end }}

{{/* The InferenceService, and what begins the names that KServe makes of it. */}}
{{- define "anmodel.inferenceService" -}}
{{- .Values.predictor.modelName | replace "_" "-" -}}
{{- end }}

{{/* Label by which the predictor's pods are chosen, champion and canary alike. KServe makes them, so they are not of this release. */}}
{{- define "anmodel.predictorSelector" -}}
serving.kserve.io/inferenceservice: {{ include "anmodel.inferenceService" . }}
{{- end }}

{{/* The port a stage listens on, for every size of the system the same; the predictor's is the one that KServe expects. */}}
{{- define "anmodel.port" -}}
{{- get (dict "collector" 8001 "consumer" 8002 "gateway" 8000 "marketapp" 5173 "predictor" 8080) . -}}
{{- end }}

{{/* A stage's origin at the edge, e.g. https://api.shop.example; without an edge, where a port-forward shows it. */}}
{{- define "anmodel.origin" -}}
{{- $edge := (first .).Values.edge -}}
{{- if eq $edge.kind "none" -}}
http://localhost:{{ include "anmodel.port" (last .) }}
{{- else -}}
{{- $port := ternary "" (printf ":%v" $edge.port) (has (int $edge.port) (list 0 (ternary 443 80 (eq $edge.scheme "https")))) -}}
{{ $edge.scheme }}://{{ get $edge.hosts (last .) }}{{ $port }}
{{- end -}}
{{- end }}

{{/* The Secret with ClickHouse's password: the one that is named, else the chart's own. */}}
{{- define "anmodel.clickhouseSecret" -}}
{{- .Values.clickhouse.existingSecret | default (printf "%s-clickhouse" (include "anmodel.fullname" .)) -}}
{{- end }}
