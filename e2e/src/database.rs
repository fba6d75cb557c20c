//! A real PostgreSQL in a case's namespace: the image that the chart brings along.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::Api;
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::settings::SYSTEM_NAMESPACE;
use crate::{kubectl, wait};

/// Name of the pod, its Service and the Secret with its URL.
const NAME: &str = "database";
/// Name of the database in it.
const DATABASE: &str = "shop";

/// A running server; it ends with its namespace.
pub struct DatabaseServer {
    namespace: Namespace,
}

impl DatabaseServer {
    /// Starts one with an empty database.
    pub async fn start(namespace: &Namespace) -> Result<Self> {
        let secret = json!({"metadata": {"name": NAME}, "stringData": {"url": url(NAME)}});
        namespace.create_object::<Secret>(secret).await?;
        let service = json!({
            "metadata": {"name": NAME},
            "spec": {"selector": {"app": NAME}, "ports": [{"port": 5432}]},
        });
        namespace.create_object::<Service>(service).await?;
        let image = image_of_the_release().await?;
        namespace.create_object::<Pod>(pod(&image)).await?;
        let pods: Api<Pod> = namespace.api();
        wait::until("the database", async || {
            let status = pods.get(NAME).await?.status.unwrap_or_default();
            let mut containers = status.container_statuses.iter().flatten();
            Ok(containers.any(|it| it.ready).then_some(()))
        })
        .await?;
        Ok(Self {
            namespace: namespace.clone(),
        })
    }

    /// Its URL for other namespaces.
    pub fn url(&self) -> String {
        url(&format!("{NAME}.{}.svc", self.namespace.name))
    }

    /// The reference to its URL.
    pub fn connection(&self) -> Value {
        json!({"name": NAME, "key": "url"})
    }

    /// Runs SQL as the one who administers it, and returns what it prints, without decoration.
    pub async fn sql(&self, statements: &str) -> Result<String> {
        let command = [
            "--namespace",
            &self.namespace.name,
            "exec",
            "--stdin",
            NAME,
            "--",
            "psql",
            "--username=postgres",
            "--set=ON_ERROR_STOP=1",
            "--quiet",
            "--tuples-only",
            "--no-align",
            DATABASE,
        ];
        Ok(kubectl::succeed(&command, statements).await?.trim().to_owned())
    }
}

fn url(host: &str) -> String {
    format!("postgres://reader:secret-of-the-test@{host}:5432/{DATABASE}")
}

fn pod(image: &str) -> Value {
    let probe = json!({"exec": {"command": ["pg_isready", "--quiet"]}, "periodSeconds": 1, "timeoutSeconds": 5});
    json!({
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": NAME,
                "image": image,
                "imagePullPolicy": "Never",
                "args": ["serve"],
                "env": [
                    {"name": "ATELIER_DATABASE_URL_FILE", "value": "/etc/atelier/database/url"},
                    {"name": "PGDATA", "value": "/var/lib/postgresql/data"},
                    {"name": "PGHOST", "value": "/run/postgresql"},
                ],
                "ports": [{"containerPort": 5432}],
                "readinessProbe": probe,
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [
                    {"name": "data", "mountPath": "/var/lib/postgresql"},
                    {"name": "run", "mountPath": "/run/postgresql"},
                    {"name": "url", "mountPath": "/etc/atelier/database", "readOnly": true},
                ],
            }],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                {"name": "url", "secret": {"secretName": NAME}},
            ],
        },
    })
}

/// The image that the release names for its own database.
async fn image_of_the_release() -> Result<String> {
    let values = crate::helm::run(&["get", "values", "atelier", "--all", "--output", "json"]).await?;
    let values: Value = serde_json::from_str(&values).context("helm prints no JSON")?;
    let image = values["database"]["embedded"]["image"].as_str();
    image
        .filter(|image| !image.is_empty())
        .map(Into::into)
        .with_context(|| format!("the release in {SYSTEM_NAMESPACE} names no image of a database"))
}
