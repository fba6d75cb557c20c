//! Against Azurite, Microsoft's own server for tests of Azure Blob Storage, which checks every signature:
//!
//! ```sh
//! npm install --prefix /tmp/azurite azurite@3.37.0
//! ATELIER_AZURITE=/tmp/azurite/node_modules/.bin/azurite-blob \
//!     cargo test -p atelier-artifacts store::real_azure -- --ignored
//! ```

use std::process::{Child, Command, Stdio};

use object_store::ClientOptions;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpConnector as _, HttpRequestBody};

use super::*;
use crate::testing::tiny_model;

const ACCOUNT: &str = "tests";
/// `key of the tests`.
const KEY: &str = "a2V5IG9mIHRoZSB0ZXN0cw==";

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn create_container(endpoint: &str) {
    let connector = super::http::Connector {
        settings: Settings::impatient(),
    };
    let client = connector.connect(&ClientOptions::new().with_allow_http(true)).unwrap();
    let mut request = ::http::Request::put(format!("{endpoint}/models?restype=container"))
        .header("x-ms-version", "2023-11-03")
        .header("content-length", "0")
        .body(HttpRequestBody::empty())
        .unwrap();
    let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).unwrap());
    AzureAuthorizer::new(&credential, ACCOUNT)
        .try_authorize(&mut request)
        .unwrap();
    let answer = client.execute(request).await.unwrap();
    assert_eq!(answer.status(), 201);
}

#[tokio::test]
#[ignore = "takes Azurite, see the top of this file"]
async fn files_and_folders_come_from_azure_blob_storage() {
    let program = std::env::var_os("ATELIER_AZURITE").expect("ATELIER_AZURITE names the program");
    let dir = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let process = Command::new(program)
        .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"))
        .args(["--blobHost", "127.0.0.1", "--skipApiVersionCheck", "--blobPort"])
        .arg(address.port().to_string())
        .arg("--location")
        .arg(dir.path().join("data"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _process = Running(process);
    while std::net::TcpStream::connect(address).is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let endpoint = format!("http://{address}/{ACCOUNT}");
    create_container(&endpoint).await;
    let secret = dir.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    let set = |key: &str, value: &str| std::fs::write(secret.join(key), value).unwrap();
    set("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT);
    set("AZURE_STORAGE_ACCOUNT_KEY", KEY);
    set("AZURE_STORAGE_ENDPOINT", &endpoint);
    set("AZURE_ALLOW_HTTP", "true");
    let store = |uri: &str| Store {
        uri: uri.parse().unwrap(),
        what: What::Model,
        version: None,
        credentials: Some(secret.clone()),
        settings: Settings::impatient(),
    };
    let root = store("az://models");
    let opened = credentials::open(&root.uri, Some(&secret), root.settings).unwrap();
    for (key, content) in [("small/m.gguf", tiny_model()), ("small/README.md", b"# hi".to_vec())] {
        let options = object_store::PutOptions::default();
        opened.put_opts(&key.into(), content.into(), options).await.unwrap();
    }
    for uri in ["az://models/small/m.gguf", "az://models/small/"] {
        let to = tempfile::tempdir().unwrap();
        let fetched = store(uri).fetch(to.path(), |_, _| {}).await.unwrap();
        assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model(), "{uri}");
    }
    let refused = async |uri: &str| store(uri).fetch(dir.path(), |_, _| {}).await.unwrap_err();
    for uri in ["az://others/", "az://models/none.gguf"] {
        assert_eq!(refused(uri).await.reason, reasons::NOT_FOUND);
    }
    set("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=");
    assert_eq!(refused("az://models/small/").await.reason, reasons::FORBIDDEN);
}
