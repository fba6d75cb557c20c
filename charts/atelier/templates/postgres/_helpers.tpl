{{/* The Secret with the database's URL and the key in it, as JSON; its name is empty without a database. Context: the
root. */}}
{{- define "atelier.databaseSecret" -}}
{{- $database := .Values.database -}}
{{- if and $database.embedded.enabled $database.urlSecret.name -}}
{{- fail "database.embedded.enabled and database.urlSecret.name exclude each other: unset one of them" -}}
{{- end -}}
{{- $embedded := dict "name" ($database.embedded.existingSecret | default "atelier-postgres") "key" "url" -}}
{{- ternary $embedded $database.urlSecret $database.embedded.enabled | toJson -}}
{{- end }}

{{/* What is the same in all pods of PostgreSQL: as whom they run, and where. Context: root, component. */}}
{{- define "atelier.postgresPodSpec" -}}
{{- $own := .root.Values.database.embedded -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
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
{{- end }}

{{/* Labels of the pods of PostgreSQL. Context: root, component. */}}
{{- define "atelier.postgresPodMetadata" -}}
{{- $own := .root.Values.database.embedded -}}
labels:
  {{- $labels := merge (include "atelier.selector" . | fromYaml) (dict "app.kubernetes.io/part-of" "atelier") $own.podLabels }}
  {{- toYaml $labels | nindent 2 }}
{{- with $own.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The container of all pods of PostgreSQL. Context: the root. */}}
{{- define "atelier.postgresContainer" -}}
{{- $image := .Values.image -}}
image: {{ .Values.database.embedded.image | default (printf "%s/%s/postgres:%s" $image.registry $image.repository ($image.tag | default .Chart.AppVersion)) }}
imagePullPolicy: {{ $image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A Job of `backup` or `restore`. Context: root, does. */}}
{{- define "atelier.postgresJob" -}}
{{- $own := .root.Values.database.embedded -}}
{{- $backup := dict "root" .root "component" "postgres-backup" -}}
metadata:
  labels:
    {{- include "atelier.labels" .root | nindent 4 }}
    app.kubernetes.io/component: postgres-backup
spec:
  backoffLimit: {{ ternary 2 0 (eq .does "backup") }}
  activeDeadlineSeconds: 21600
  template:
    metadata:
      {{- include "atelier.postgresPodMetadata" $backup | nindent 6 }}
    spec:
      {{- include "atelier.postgresPodSpec" $backup | nindent 6 }}
      restartPolicy: Never
      # Its claim is mounted there, and many classes let a claim be mounted on one node only.
      affinity:
        podAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels:
                  {{- include "atelier.selector" (dict "root" .root "component" "postgres") | nindent 18 }}
      containers:
        - name: {{ .does }}
          {{- include "atelier.postgresContainer" .root | nindent 10 }}
          args: [{{ .does }}]
          env:
            - {name: ATELIER_DATABASE_URL_FILE, value: /etc/atelier/database/url}
            - {name: BACKUP_DIR, value: /backup}
            {{- if eq .does "backup" }}
            - {name: BACKUP_KEEP, value: {{ $own.backup.keep | quote }}}
            {{- end }}
          resources:
            {{- toYaml $own.backup.resources | nindent 12 }}
          volumeMounts:
            - {name: database, mountPath: /etc/atelier/database, readOnly: true}
            - {name: backup, mountPath: /backup{{ if eq .does "restore" }}, readOnly: true{{ end }}}
      volumes:
        - name: database
          secret:
            secretName: {{ (include "atelier.databaseSecret" .root | fromJson).name }}
            items: [{key: url, path: url}]
        - name: backup
          persistentVolumeClaim: {claimName: atelier-postgres-backup}
{{- end }}
