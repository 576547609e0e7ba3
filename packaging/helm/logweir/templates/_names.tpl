{{- define "logweir.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "logweir.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logweir.labels" -}}
{{ include "logweir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "logweir.serviceAccount" -}}
{{ if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "logweir.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "logweir.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The container's parts that agents on nodes and gateways share. */}}
{{- define "logweir.container" -}}
image: {{ include "logweir.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - run
  - --data-dir=/var/lib/logweir
  - --admin=0.0.0.0:{{ .Values.admin.port }}
  - --log-format={{ .Values.logFormat }}
  {{- if .Values.admin.tokenSecret.name }}
  - --admin-token-file=/etc/logweir/admin/{{ .Values.admin.tokenSecret.key }}
  {{- end }}
  {{- range .Values.args }}
  - {{ . | quote }}
  {{- end }}
  - /etc/logweir/pipelines
env:
  - name: LOGWEIR_HOST_NAME
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  - name: LOGWEIR_MEMORY_MAX
    value: {{ .Values.memoryMax }}
  {{- range $name, $value := .Values.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- with .Values.envFromSecrets }}
envFrom:
  {{- range . }}
  - secretRef:
      name: {{ . }}
  {{- end }}
{{- end }}
startupProbe:
  httpGet: { path: /health, port: admin }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /health, port: admin }
  periodSeconds: 30
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /ready, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}

{{- define "logweir.mounts" -}}
- name: pipelines
  mountPath: /etc/logweir/pipelines
  readOnly: true
- name: state
  mountPath: /var/lib/logweir
{{- if .Values.admin.tokenSecret.name }}
- name: admin
  mountPath: /etc/logweir/admin
  readOnly: true
{{- end }}
{{- range .Values.secretFiles }}
- name: secret-{{ . }}
  mountPath: /etc/logweir/secrets/{{ . }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "logweir.volumes" -}}
{{- if .Values.admin.tokenSecret.name }}
- name: admin
  secret:
    secretName: {{ .Values.admin.tokenSecret.name }}
{{- end }}
{{- range .Values.secretFiles }}
- name: secret-{{ . }}
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}
