{{/* Labels of every object of the chart. Context: the root. */}}
{{- define "atelier.labels" -}}
app.kubernetes.io/name: atelier
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: atelier
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels that select the pods of one component. They are immutable: nothing that an upgrade
changes may enter. Context: root, component. */}}
{{- define "atelier.selector" -}}
app.kubernetes.io/name: atelier
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Name of the ConfigMap with the OpenID Connect issuers. Context: the root. */}}
{{- define "atelier.oidcName" -}}
{{ printf "atelier-gateway-oidc-%s" (toJson .Values.gateway.oidc | sha256sum | trunc 10) }}
{{- end }}

{{/* The image reference of one component. Context: root, component. */}}
{{- define "atelier.image" -}}
{{- $image := .root.Values.image -}}
{{- $own := get (get .root.Values .component) "image" -}}
{{- $own | default (printf "%s/%s/%s:%s" $image.registry $image.repository .component ($image.tag | default .root.Chart.AppVersion)) -}}
{{- end }}

{{/* Metadata of the pods of one component. Context: root, component. */}}
{{- define "atelier.podMetadata" -}}
{{- $own := get .root.Values .component -}}
labels:
  {{- $labels := merge (include "atelier.selector" . | fromYaml) (dict "app.kubernetes.io/part-of" "atelier") $own.podLabels }}
  {{- toYaml $labels | nindent 2 }}
{{- $scraped := dict "prometheus.io/scrape" "true" "prometheus.io/port" "9090" "prometheus.io/path" "/metrics" }}
{{- with merge (deepCopy $own.podAnnotations) (ternary $scraped dict .root.Values.metrics.annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where the pods of one component run, and as whom. Context: root, component. */}}
{{- define "atelier.podSpec" -}}
{{- $own := get .root.Values .component -}}
serviceAccountName: atelier-{{ .component }}
automountServiceAccountToken: true
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $pods := dict "labelSelector" (dict "matchLabels" (include "atelier.selector" $ | fromYaml)) "matchLabelKeys" (list "pod-template-hash") }}
  {{- range . }}
  - {{ toYaml (hasKey . "labelSelector" | ternary . (merge (deepCopy .) $pods)) | indent 4 | trim }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What the containers of all components have in common. Context: root, component. */}}
{{- define "atelier.container" -}}
image: {{ include "atelier.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml (get .root.Values .component).resources | nindent 2 }}
startupProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 3
  timeoutSeconds: 2
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* Where the gateway sends its traces. Context: the root. */}}
{{- define "atelier.traces" -}}
{{- with .Values.telemetry.otlp }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_TRACES_SAMPLER
  value: {{ .sampler }}
{{- if hasSuffix "traceidratio" .sampler }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .samplerRatio | quote }}
{{- end }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(POD_NAME)
{{- with .headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ . }}, key: headers}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Root of the gateway inside the cluster. Context: the root. */}}
{{- define "atelier.gatewayUrl" -}}
{{ ternary "https" "http" (ne .Values.gateway.tls.secretName "") }}://atelier-gateway.{{ .Release.Namespace }}.svc:{{ .Values.gateway.service.port }}
{{- end }}

{{/* The port of a URL. Context: the URL. */}}
{{- define "atelier.urlPort" -}}
{{- $url := urlParse . -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end }}
