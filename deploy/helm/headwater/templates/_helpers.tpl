{{- define "headwater.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "headwater.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "headwater.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "headwater.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "headwater.selector" -}}
app.kubernetes.io/name: {{ include "headwater.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "headwater.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "headwater.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "headwater.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "headwater.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "headwater.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "headwater.projectMap" -}}
{{- default (printf "%s-project" (include "headwater.fullname" .)) .Values.project.existingConfigMap }}
{{- end }}

{{/* What changes with settings or project, so that pods follow. */}}
{{- define "headwater.checksum" -}}
{{- printf "%s%s" (toJson .Values.settings) .Values.project.file | sha256sum }}
{{- end }}

{{/* Whether a variable, or the one that names a file with it, is set: dict "root" $ "variable" "HEADWATER_ONLINE" */}}
{{- define "headwater.isSet" -}}
{{- $names := keys .root.Values.settings }}
{{- range .root.Values.secrets }}{{ $names = append $names .variable }}{{ end }}
{{- if or (has .variable $names) (has (printf "%s_FILE" .variable) $names) }}yes{{ end }}
{{- end }}

{{/* What the ingest pod does before it serves: tables of the database, the first key. */}}
{{- define "headwater.before" -}}
{{- $database := include "headwater.isSet" (dict "root" .root "variable" "HEADWATER_DATABASE_URL") }}
{{- if or $database .root.Values.access.firstKey.enabled }}
initContainers:
  {{- if $database }}
  - name: database
    {{- include "headwater.container" . | nindent 4 }}
    args: [database, upgrade]
    resources: {{- toYaml .part.resources | nindent 6 }}
  {{- end }}
  {{- include "headwater.firstKey" . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The environment of a part: dict "root" $ "part" .Values.ingest */}}
{{- define "headwater.env" -}}
- {name: HEADWATER_HOME, value: /data}
- {name: HEADWATER_PROJECT, value: /project/project.py}
- {name: HEADWATER_PORT, value: "8000"}
{{- if and .root.Values.decide.enabled (has .name (list "ingest" "decide")) }}
- {name: HEADWATER_ROLE, value: {{ .name }}}
{{- end }}
{{- range $name, $value := merge (dict) .part.env .root.Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- range .root.Values.secrets }}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end }}
{{- end }}

{{- define "headwater.mounts" -}}
- {name: data, mountPath: /data}
- {name: project, mountPath: /project, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- range $i, $one := .Values.secretFiles }}
- {name: secret-{{ $i }}, mountPath: {{ $one.path }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "headwater.volumes" -}}
- name: project
  configMap: {name: {{ include "headwater.projectMap" . }}}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.tmp }}}
{{- range $i, $one := .Values.secretFiles }}
- name: secret-{{ $i }}
  secret: {secretName: {{ $one.secret }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* What every pod has: dict "root" $ "part" .Values.ingest "name" "ingest" */}}
{{- define "headwater.pod" -}}
serviceAccountName: {{ include "headwater.serviceAccount" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .part.terminationGracePeriodSeconds }}
securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "headwater.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.name }}
  {{- end }}
{{- end }}

{{- define "headwater.container" -}}
image: {{ include "headwater.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext: {{- toYaml .root.Values.securityContext | nindent 2 }}
volumeMounts: {{- include "headwater.mounts" .root | nindent 2 }}
env: {{- include "headwater.env" . | nindent 2 }}
{{- end }}

{{/* A server that answers HTTP. The kubelet asks without a credential: /healthz and /readyz are open. Before it ends, it
     stays for the five seconds in which others still send to it. */}}
{{- define "headwater.server" -}}
{{- include "headwater.container" . }}
args:
  - serve
  - --host=0.0.0.0
  - --port=8000
  - --log-level={{ .part.logLevel }}
  {{- range .part.args }}
  - {{ . | quote }}
  {{- end }}
ports:
  - {name: http, containerPort: 8000}
resources: {{- toYaml .part.resources | nindent 2 }}
startupProbe:
  httpGet: {path: /readyz, port: http, scheme: {{ include "headwater.scheme" .root }}}
  periodSeconds: 2
  failureThreshold: {{ div .part.startupSeconds 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: http, scheme: {{ include "headwater.scheme" .root }}}
  periodSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /healthz, port: http, scheme: {{ include "headwater.scheme" .root }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
lifecycle:
  preStop:
    exec: {command: [sleep, "5"]}
{{- end }}

{{- define "headwater.scheme" -}}
{{- if .Values.settings.HEADWATER_TLS_CERTIFICATE }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{- define "headwater.firstKey" -}}
{{- if .root.Values.access.firstKey.enabled -}}
- name: first-key
  {{- include "headwater.container" . | nindent 2 }}
  command: [/bin/sh, -c]
  args:
    - |
      set -eu
      if [ "$(start keys list --json | python -c 'import json, sys; print(len(json.load(sys.stdin)["keys"]))')" = 0 ]; then
        umask 077
        start keys create {{ .root.Values.access.firstKey.name }} --role admin --secret-file /data/{{ .root.Values.access.firstKey.name }}.secret
      fi
  resources: {{- toYaml .part.resources | nindent 4 }}
{{- end }}
{{- end }}
