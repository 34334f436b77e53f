{{/*
How stages reach the outside systems. For each system there is an `env` (YAML: variable to value) and `files` (YAML: a
list of sources for the projected volume /run/secrets/anmodel, whose files stages read as settings and certificates).
*/}}

{{/* Of every stage. */}}
{{- define "anmodel.commonEnv" -}}
LOG_LEVEL: {{ .Values.logLevel }}
LOG_FORMAT: json
{{- end }}

{{/* Given (list $ $client): $client is how a stage logs in, e.g. .Values.collector.kafka */}}
{{- define "anmodel.kafkaEnv" -}}
{{- $kafka := (first .).Values.kafka }}
{{- $client := last . -}}
KAFKA_BOOTSTRAP: {{ $kafka.bootstrap | quote }}
KAFKA_TOPIC: {{ $kafka.topic }}
KAFKA_DEAD_TOPIC: {{ $kafka.deadTopic }}
KAFKA_SECURITY_PROTOCOL: {{ $kafka.securityProtocol }}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
KAFKA_SASL_MECHANISM: {{ $kafka.saslMechanism }}
KAFKA_USERNAME: {{ $client.username | quote }}
{{- end }}
{{- if hasSuffix "SSL" $kafka.securityProtocol }}
{{- if $kafka.caSecret.name }}
KAFKA_CA: /run/secrets/anmodel/kafka_ca.pem
{{- end }}
{{- if $client.certificateSecret }}
KAFKA_CERTIFICATE: /run/secrets/anmodel/kafka_certificate.pem
KAFKA_KEY: /run/secrets/anmodel/kafka_key.pem
{{- end }}
{{- end }}
{{- with $kafka.options }}
KAFKA_OPTIONS: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "anmodel.kafkaFiles" -}}
{{- $kafka := (first .).Values.kafka }}
{{- $client := last . -}}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
{{ include "anmodel.file" (list $client.existingSecret $client.passwordKey "kafka_password") }}
{{- end }}
{{- if hasSuffix "SSL" $kafka.securityProtocol }}
{{- with $kafka.caSecret }}
{{- if .name }}
{{ include "anmodel.file" (list .name .key "kafka_ca.pem") }}
{{- end }}
{{- end }}
{{- with $client.certificateSecret }}
{{ include "anmodel.file" (list . $client.certificateKey "kafka_certificate.pem") }}
{{ include "anmodel.file" (list . $client.privateKeyKey "kafka_key.pem") }}
{{- end }}
{{- end }}
{{- end }}

{{/* Kafka, for a stage that tells or hears news about models. Given as kafkaEnv. */}}
{{- define "anmodel.modelEventsEnv" -}}
{{ include "anmodel.kafkaEnv" . }}
MODEL_TOPIC: {{ (first .).Values.kafka.modelTopic }}
{{- end }}

{{- define "anmodel.clickhouseEnv" -}}
{{- with .Values.clickhouse -}}
CLICKHOUSE_HOST: {{ .host | quote }}
CLICKHOUSE_PORT: {{ .port }}
CLICKHOUSE_SECURE: {{ .secure }}
CLICKHOUSE_DB: {{ .database }}
CLICKHOUSE_USER: {{ .user | quote }}
{{- if .caSecret.name }}
CLICKHOUSE_CA: /run/secrets/anmodel/clickhouse_ca.pem
{{- end }}
{{- end }}
{{- end }}

{{- define "anmodel.clickhouseFiles" -}}
{{ include "anmodel.file" (list (include "anmodel.clickhouseSecret" .) .Values.clickhouse.passwordKey "clickhouse_password") }}
{{- with .Values.clickhouse.caSecret }}
{{- if .name }}
{{ include "anmodel.file" (list .name .key "clickhouse_ca.pem") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "anmodel.usersEnv" -}}
{{- with .Values.users -}}
PG_HOST: {{ .host | quote }}
PG_PORT: {{ .port }}
PG_DB: {{ .database | quote }}
PG_SCHEMA: {{ .schema | quote }}
PG_SSLMODE: {{ .sslmode }}
USERS_TABLE: {{ .table }}
{{- if .caSecret.name }}
PG_CA: /run/secrets/anmodel/pg_ca.pem
{{- end }}
{{- end }}
{{- end }}

{{- define "anmodel.usersFiles" -}}
{{- with .Values.users -}}
{{ include "anmodel.file" (list .existingSecret .usernameKey "pg_user") }}
{{ include "anmodel.file" (list .existingSecret .passwordKey "pg_password") }}
{{- if .caSecret.name }}
{{ include "anmodel.file" (list .caSecret.name .caSecret.key "pg_ca.pem") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "anmodel.lakeEnv" -}}
PARQUET_OUT: {{ .Values.lake.url | quote }}
AWS_DEFAULT_REGION: {{ .Values.s3.region | quote }}
{{- with .Values.s3.endpoint }}
AWS_ENDPOINT_URL: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The steps' keys of the S3. They are no files: every client of S3 looks for them in its environment. */}}
{{- define "anmodel.s3Refs" -}}
{{- with .Values.s3 -}}
{{- if .existingSecret -}}
AWS_ACCESS_KEY_ID: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .accessKeyKey | quote }}}}
AWS_SECRET_ACCESS_KEY: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .secretKeyKey | quote }}}}
{{- end }}
{{- end }}
{{- end }}

{{- define "anmodel.mlflowEnv" -}}
MLFLOW_TRACKING_URI: {{ .Values.mlflow.url | quote }}
MODEL_NAME: {{ .Values.predictor.modelName }}
{{- end }}

{{/* Not empty where a stage limits rates: of addresses, or of write keys. Given (list $ "gateway") */}}
{{- define "anmodel.limits" -}}
{{- $stage := get (first .).Values (last .) -}}
{{- $stage.rateLimit | default (dig "writeKeys" "existingSecret" "" $stage) -}}
{{- end }}

{{/* Rate limits of a stage that has one. Given (list $ "gateway") */}}
{{- define "anmodel.rateEnv" -}}
{{- $values := (first .).Values -}}
{{- if include "anmodel.limits" . -}}
{{- with (get $values (last .)).rateLimit -}}
RATE_LIMIT: {{ . | quote }}
{{- end }}
{{- with $values.valkey.url }}
VALKEY_URL: {{ . | quote }}
{{- end }}
{{- if ne $values.edge.kind "none" }}
TRUSTED_PROXIES: {{ $values.edge.trustedProxies | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "anmodel.rateFiles" -}}
{{- $values := (first .).Values -}}
{{- if and (include "anmodel.limits" .) $values.valkey.url $values.valkey.existingSecret -}}
{{ include "anmodel.file" (list $values.valkey.existingSecret $values.valkey.passwordKey "valkey_password") }}
{{- end }}
{{- end }}

{{/* One file of the volume: (list "its Secret" "the key there" "the file's name") */}}
{{- define "anmodel.file" -}}
- secret: {name: {{ index . 0 }}, items: [{key: {{ index . 1 | quote }}, path: {{ index . 2 }}}]}
{{- end }}
