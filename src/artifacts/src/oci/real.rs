//! Against a real registry:
//!
//! ```sh
//! GOBIN=/tmp go install github.com/distribution/distribution/v3/cmd/registry@v3.1.0
//! ATELIER_REGISTRY=/tmp/registry cargo test -p atelier-artifacts oci::real -- --ignored
//! ```

use std::process::{Child, Command, Stdio};

use reqwest::Client;
use serde_json::json;

use super::*;
use crate::testing::tiny_model;

/// The password of the tests, as `htpasswd -B` keeps it.
const HTPASSWD: &str = "ann:$2a$05$Dz2brLTgCyvyCx5feEVc/ubIxhmRHXw6gVTn9R19g9yo5ehZzhnK2\n";
const PASSWORD: &str = "secret-of-the-tests";

/// A running registry; it ends with this value.
struct Registry {
    address: String,
    dir: tempfile::TempDir,
    process: Child,
}

impl Registry {
    async fn start() -> Self {
        let program = std::env::var_os("ATELIER_REGISTRY").expect("ATELIER_REGISTRY names the program");
        let dir = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let inside = |name: &str| dir.path().join(name);
        let config = json!({
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": inside("data")}},
            "http": {"addr": address},
            "auth": {"htpasswd": {"realm": "tests", "path": inside("htpasswd")}},
        });
        std::fs::create_dir(inside("secrets")).unwrap();
        std::fs::write(inside("htpasswd"), HTPASSWD).unwrap();
        std::fs::write(inside("config.yml"), config.to_string()).unwrap();
        let process = Command::new(program)
            .arg("serve")
            .arg(inside("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(&address).is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let registry = Self { address, dir, process };
        registry.log_in(PASSWORD);
        registry
    }

    fn log_in(&self, password: &str) {
        let config = json!({"auths": {&self.address: {"username": "ann", "password": password}}});
        std::fs::write(self.dir.path().join("secrets/0.json"), config.to_string()).unwrap();
    }

    /// Pushes files as `oras push` does; returns the digest of the manifest.
    async fn push(&self, tag: &str, files: &[(&str, Vec<u8>)]) -> String {
        let mut layers = Vec::new();
        for (name, bytes) in files.iter().chain([&("", b"{}".to_vec())]) {
            let digest = Digest::of(bytes.as_slice()).unwrap().prefixed();
            let begin = Client::new().post(format!("http://{}/v2/team/model/blobs/uploads/", self.address));
            let begun = begin.basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
            let place = begun.headers()["location"].to_str().unwrap().to_owned();
            let end = Client::new()
                .put(place)
                .query(&[("digest", &digest)])
                .body(bytes.clone());
            let ended = end.basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
            assert_eq!(ended.status(), 201);
            layers.push(json!({
                "mediaType": "application/octet-stream", "digest": digest, "size": bytes.len(),
                "annotations": {"org.opencontainers.image.title": name},
            }));
        }
        let mut config = layers.pop().unwrap();
        config["mediaType"] = json!("application/vnd.oci.empty.v1+json");
        config["annotations"] = json!({});
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type,
            "artifactType": "application/vnd.test", "config": config, "layers": layers})
        .to_string();
        let url = format!("http://{}/v2/team/model/manifests/{tag}", self.address);
        let put = Client::new()
            .put(url)
            .header("content-type", media_type)
            .body(manifest.clone());
        let answer = put.basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        Digest::of(manifest.as_bytes()).unwrap().prefixed()
    }

    fn oci(&self, name: &str) -> Oci {
        let mut settings = Settings::impatient();
        settings.ranges.from = 4096;
        settings.ranges.smallest = 4096;
        Oci {
            image: format!("{}/{name}", self.address),
            digest: None,
            files: Vec::new(),
            what: What::Model,
            credentials: vec![self.dir.path().join("secrets")],
            plain_http: false,
            settings,
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "takes a registry, see the top of this file"]
async fn an_artifact_comes_from_a_real_registry() {
    let registry = Registry::start().await;
    let files = [("m.gguf", tiny_model()), ("README.md", b"# hi".to_vec())];
    let first = registry.push("1", &files).await;
    let to = registry.dir.path().join("to");
    let fetched = registry.oci("team/model:1").fetch(&to, |_, _| {}).await.unwrap();
    assert_eq!((&fetched.digest, &fetched.path), (&first, &to.join("m.gguf")));
    assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model());

    // The tag moves on; who knows the digest does not.
    let second = registry.push("1", &[("other.gguf", vec![7; 5000])]).await;
    assert_ne!(first, second);
    let mut known = registry.oci("team/model:1");
    known.digest = Some(first);
    let again = registry.dir.path().join("again");
    let fetched = known.fetch(&again, |_, _| {}).await.unwrap();
    assert_eq!(fetched.path, again.join("m.gguf"));
}

#[tokio::test]
#[ignore = "takes a registry, see the top of this file"]
async fn a_real_registry_says_what_is_wrong() {
    let registry = Registry::start().await;
    let to = registry.dir.path().join("to");
    let failure = registry.oci("team/model:none").fetch(&to, |_, _| {}).await.unwrap_err();
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::NOT_FOUND, false),
        "{failure}"
    );
    registry.log_in("wrong");
    let failure = registry.oci("team/model:1").fetch(&to, |_, _| {}).await.unwrap_err();
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::FORBIDDEN, false),
        "{failure}"
    );
}
