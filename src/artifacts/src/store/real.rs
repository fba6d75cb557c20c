//! Against a real S3 server, which checks every signature:
//!
//! ```sh
//! GOBIN=/tmp go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
//! ATELIER_VERSITYGW=/tmp/versitygw cargo test -p atelier-artifacts store::real -- --ignored
//! ```

use std::process::{Child, Command, Stdio};

use object_store::path::Path as Key;

use super::*;
use crate::testing::tiny_model;

const REGION: &str = "eu-test-1";
const FILE: &str = "s3://models/small/m.gguf";

/// A running server with the bucket `models`; it ends with this value.
struct Gateway {
    dir: tempfile::TempDir,
    process: Child,
}

impl Gateway {
    async fn start() -> Self {
        let program = std::env::var_os("ATELIER_VERSITYGW").expect("ATELIER_VERSITYGW names the program");
        let dir = tempfile::tempdir().unwrap();
        let inside = |name: &str| dir.path().join(name);
        for name in ["data/models", "sidecar", "versions", "secret"] {
            std::fs::create_dir_all(inside(name)).unwrap();
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let process = Command::new(program)
            .args(["--port", &address.to_string(), "--region", REGION, "posix", "--sidecar"])
            .arg(inside("sidecar"))
            .arg("--versioning-dir")
            .args([inside("versions"), inside("data")])
            .env("ROOT_ACCESS_KEY", "AKID")
            .env("ROOT_SECRET_KEY", "of-the-tests")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let gateway = Self { dir, process };
        for (key, value) in [
            ("AWS_ENDPOINT_URL", format!("http://{address}").as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "of-the-tests"),
            ("AWS_REGION", REGION),
        ] {
            gateway.set(key, value);
        }
        while std::net::TcpStream::connect(address).is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        gateway
    }

    fn set(&self, key: &str, value: &str) {
        std::fs::write(self.dir.path().join("secret").join(key), value).unwrap();
    }

    fn store(&self, uri: &str) -> Store {
        Store {
            uri: uri.parse().unwrap(),
            what: What::Model,
            version: None,
            credentials: Some(self.dir.path().join("secret")),
            settings: Settings::impatient(),
        }
    }

    async fn put(&self, bucket: &str, key: &str, content: Vec<u8>) {
        let store = self.store(&format!("s3://{bucket}"));
        let store = credentials::open(&store.uri, store.credentials.as_deref(), store.settings).unwrap();
        let payload = object_store::PutPayload::from(content);
        store
            .put_opts(&Key::from(key), payload, object_store::PutOptions::default())
            .await
            .unwrap();
    }

    async fn refused(&self, uri: &str) -> PrepareFailure {
        let to = self.dir.path().join("refused");
        self.store(uri).fetch(&to, |_, _| {}).await.unwrap_err()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "takes an S3 server, see the top of this file"]
async fn files_and_folders_come_from_a_real_server() {
    let gateway = Gateway::start().await;
    gateway.put("models", "small/m.gguf", tiny_model()).await;
    gateway.put("models", "small/README.md", b"# hi".to_vec()).await;
    let to = gateway.dir.path().join("to");
    for uri in [FILE, "s3://models/small/"] {
        let fetched = gateway.store(uri).fetch(&to, |_, _| {}).await.unwrap();
        assert_eq!(fetched.path, to.join("m.gguf"), "{uri}");
        assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model());
    }

    // The rest of a file, and another version of it.
    let to = gateway.dir.path().join("resumed");
    let store = gateway.store(FILE);
    let opened = credentials::open(&store.uri, store.credentials.as_deref(), store.settings).unwrap();
    let object = store.file(opened.as_ref()).await.unwrap();
    std::fs::create_dir_all(&to).unwrap();
    std::fs::write(to.join("m.gguf.part"), &tiny_model()[..5000]).unwrap();
    let state = serde_json::json!({"identity": object.identity(&store.uri), "validator": null, "total": object.size});
    std::fs::write(to.join("m.gguf.part.json"), state.to_string()).unwrap();
    let mut seen = Vec::new();
    let fetched = store.fetch(&to, |bytes, _| seen.push(bytes)).await.unwrap();
    assert_eq!(seen[0], 5000);
    assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model());
    let mut other = tiny_model();
    other.reverse();
    gateway.put("models", "small/m.gguf", other.clone()).await;
    let fetcher = Fetcher {
        store: opened.as_ref(),
        uri: &store.uri,
        settings: store.settings,
    };
    let failure = fetcher.fetch(&object, &to.join("old.gguf"), |_| {}).await.unwrap_err();
    assert!(failure.message.contains("changes while it is fetched"), "{failure}");
    let fetched = store.fetch(&to, |_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), other);
}

#[tokio::test]
#[ignore = "takes an S3 server, see the top of this file"]
async fn a_real_server_says_what_is_wrong() {
    let gateway = Gateway::start().await;
    gateway.put("models", "small/m.gguf", tiny_model()).await;
    for uri in [FILE, "s3://models/small/"] {
        for (key, wrong, right, reason) in [
            ("AWS_SECRET_ACCESS_KEY", "wrong", "of-the-tests", reasons::FORBIDDEN),
            // This server answers 404 for an unknown key where S3 answers 403.
            ("AWS_ACCESS_KEY_ID", "OTHER", "AKID", reasons::NOT_FOUND),
            ("AWS_REGION", "us-east-1", REGION, reasons::NOT_FOUND),
        ] {
            gateway.set(key, wrong);
            let failure = gateway.refused(uri).await;
            assert_eq!(
                (failure.reason.as_str(), failure.retryable),
                (reason, false),
                "{failure}"
            );
            assert!(failure.message.contains("credentialsSecretRef"), "{failure}");
            println!("{failure}");
            gateway.set(key, right);
        }
    }
    for uri in ["s3://others/m.gguf", "s3://others/", "s3://models/none.gguf"] {
        let failure = gateway.refused(uri).await;
        assert_eq!(failure.reason, reasons::NOT_FOUND, "{failure}");
        println!("{failure}");
    }
    assert_eq!(
        gateway.refused("s3://models/none/").await.reason,
        reasons::FILE_NOT_FOUND
    );
}
