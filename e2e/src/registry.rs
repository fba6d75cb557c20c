//! A real OCI registry on this machine that pods can reach: distribution over a directory.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use reqwest::{Client, RequestBuilder, Response, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::settings::{HOST_ADDRESS, registry_program};
use crate::wait;

const USER: &str = "ann";
/// The password of its only user.
pub const PASSWORD: &str = "secret-of-the-tests";
/// The same as `htpasswd -B` keeps it.
const HTPASSWD: &str = "ann:$2a$05$Dz2brLTgCyvyCx5feEVc/ubIxhmRHXw6gVTn9R19g9yo5ehZzhnK2\n";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A running registry; it ends with this value.
pub struct RegistryServer {
    address: String,
    process: Child,
    _dir: TempDir,
}

impl RegistryServer {
    /// Starts an empty one.
    pub async fn start() -> Result<Self> {
        let dir = tempfile::tempdir().context("failed to create a directory")?;
        let inside = |name: &str| dir.path().join(name);
        let listener =
            TcpListener::bind((HOST_ADDRESS, 0)).context("failed to listen where pods reach this machine")?;
        let address = listener.local_addr()?.to_string();
        drop(listener);
        let config = json!({
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": inside("data")}},
            "http": {"addr": address},
            "auth": {"htpasswd": {"realm": "tests", "path": inside("htpasswd")}},
        });
        std::fs::write(inside("htpasswd"), HTPASSWD).context("failed to write the password")?;
        std::fs::write(inside("config.yml"), config.to_string()).context("failed to write the settings")?;
        let process = Command::new(registry_program()?)
            .arg("serve")
            .arg(inside("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start the registry")?;
        let server = Self {
            address,
            process,
            _dir: dir,
        };
        wait::until("the registry", async || {
            Ok(tokio::net::TcpStream::connect(&server.address).await.ok())
        })
        .await?;
        Ok(server)
    }

    /// The reference of `NAME:TAG`.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// What a Secret of type `kubernetes.io/dockerconfigjson` holds.
    pub fn login(&self, password: &str) -> Value {
        json!({"auths": {&self.address: {"username": USER, "password": password}}})
    }

    /// Pushes files as `NAME:TAG`, each as a layer, as `oras push` does.
    pub async fn push(&self, name: &str, files: &[(&str, Bytes)]) -> Result<()> {
        let (repository, tag) = name.split_once(':').context("the name has no tag")?;
        let base = format!("http://{}/v2/{repository}", self.address);
        let mut layers = Vec::new();
        for (title, content) in files {
            layers.push(json!({
                "mediaType": "application/octet-stream", "digest": blob(&base, content.clone()).await?,
                "size": content.len(), "annotations": {"org.opencontainers.image.title": title},
            }));
        }
        let empty = json!({
            "mediaType": "application/vnd.oci.empty.v1+json", "digest": blob(&base, "{}".into()).await?, "size": 2,
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.atelier.test",
            "config": empty, "layers": layers,
        });
        let put = Client::new()
            .put(format!("{base}/manifests/{tag}"))
            .header(header::CONTENT_TYPE, MANIFEST)
            .body(manifest.to_string());
        send(put).await?;
        Ok(())
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Pushes a content; returns its digest.
async fn blob(base: &str, content: Bytes) -> Result<String> {
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&content)));
    let begun = send(Client::new().post(format!("{base}/blobs/uploads/"))).await?;
    let place = begun.headers().get(header::LOCATION).context("no place to upload to")?;
    let put = Client::new().put(place.to_str()?);
    send(put.query(&[("digest", &digest)]).body(content)).await?;
    Ok(digest)
}

async fn send(request: RequestBuilder) -> Result<Response> {
    let answer = request
        .basic_auth(USER, Some(PASSWORD))
        .send()
        .await
        .context("failed to reach the registry")?;
    let status = answer.status();
    ensure!(status.is_success(), "the registry answered {status}");
    Ok(answer)
}
