//! Against a server with the Hub's interface.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::digest::Digest;
use crate::testing::{Reply, Seen, Server, tiny_model};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_secret";

/// What a repository holds, by path; weights are kept as large files.
type Content = BTreeMap<&'static str, Vec<u8>>;

fn listing(content: &Content) -> Value {
    let sibling = |(path, bytes): (&&str, &Vec<u8>)| {
        let mut sibling = json!({"rfilename": path, "size": bytes.len(), "blobId": git_blob(bytes)});
        if path.ends_with(".gguf") || path.ends_with(".safetensors") {
            let sha256 = Digest::of(bytes.as_slice()).unwrap().to_string();
            sibling["lfs"] = json!({"sha256": sha256, "size": bytes.len(), "pointerSize": 133});
        }
        sibling
    };
    json!({"id": "team/model", "sha": COMMIT, "siblings": content.iter().map(sibling).collect::<Vec<_>>()})
}

/// A server of the repository `team/model`, whose branch is `main`. `alter` may change an answer.
async fn hub(content: Content, alter: impl Fn(&str, Reply) -> Reply + Send + 'static) -> Server {
    let listing = listing(&content).to_string().into_bytes();
    Server::choosing(move |Seen { path, headers }| {
        if headers.get("authorization").map(String::as_str) != Some("Bearer hf_secret") {
            return Reply::status(401);
        }
        if path == "/base/api/models/team/model/revision/main?blobs=true" {
            return alter("listing", Reply::file(&listing));
        }
        let name = path.strip_prefix(&format!("/base/team/model/resolve/{COMMIT}/"));
        match name.and_then(|name| Some((name, content.get(name)?))) {
            Some((name, bytes)) => alter(name, Reply::file(bytes)),
            None => Reply::status(404),
        }
    })
    .await
}

fn client(server: &Server, files: &[&str], token: &Path) -> Hub {
    Hub {
        endpoint: Some(server.url("/base/").parse().unwrap()),
        repo: "team/model".into(),
        revision: "main".into(),
        files: files.iter().map(|name| (*name).to_owned()).collect(),
        what: What::Model,
        token_file: Some(token.to_owned()),
        settings: crate::fetch::Settings::impatient(),
    }
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        Self { dir }
    }

    fn token(&self) -> PathBuf {
        self.dir.path().join("token")
    }

    fn to(&self) -> PathBuf {
        self.dir.path().join("to")
    }
}

fn gguf() -> Content {
    [("README.md", b"# hi".to_vec()), ("q/m-Q4.gguf", tiny_model())].into()
}

fn safetensors() -> Content {
    [
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", vec![b'x'; 3000]),
        ("model.safetensors", vec![7; 200_000]),
        ("1_Pooling/config.json", b"{ }".to_vec()),
        ("training_args.bin", vec![1; 10]),
    ]
    .into()
}

#[test]
fn a_fetch_may_run_beside_others_on_any_thread() {
    fn is_send(_: &impl Send) {}
    let hub = Hub {
        endpoint: None,
        repo: "team/model".into(),
        revision: "main".into(),
        what: What::Model,
        files: Vec::new(),
        token_file: None,
        settings: fetch::Settings::impatient(),
    };
    is_send(&hub.fetch(Path::new("/to"), |_, _| {}));
}

#[tokio::test]
async fn the_only_gguf_file_is_fetched_at_its_commit() {
    let (server, place) = (hub(gguf(), |_, reply| reply).await, Place::new());
    let mut last = (0, None);
    let fetched = client(&server, &[], &place.token())
        .fetch(&place.to(), |bytes, total| last = (bytes, total))
        .await
        .unwrap();
    let size = tiny_model().len() as u64;
    assert_eq!(last, (size, Some(size)));
    assert_eq!(
        (fetched.commit.as_str(), &fetched.path),
        (COMMIT, &place.to().join("q/m-Q4.gguf"))
    );
    assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model());
}

#[tokio::test]
async fn the_files_of_a_model_come_together() {
    let (server, place) = (hub(safetensors(), |_, reply| reply).await, Place::new());
    let fetched = client(&server, &[], &place.token())
        .fetch(&place.to(), |_, _| {})
        .await
        .unwrap();
    assert_eq!(fetched.path, place.to());
    for (name, content) in safetensors() {
        let found = std::fs::read(place.to().join(name)).ok();
        assert_eq!(found, (name != "training_args.bin").then_some(content), "{name}");
    }
}

#[tokio::test]
async fn broken_downloads_go_on_and_other_bytes_are_refused() {
    let place = Place::new();
    let cut = std::sync::atomic::AtomicBool::new(true);
    let server = hub(safetensors(), move |name, reply| {
        let first = name == "model.safetensors" && cut.swap(false, std::sync::atomic::Ordering::Relaxed);
        if first {
            reply.etag("\"1\"").cut_after(1000)
        } else {
            reply.etag("\"1\"")
        }
    })
    .await;
    client(&server, &[], &place.token())
        .fetch(&place.to(), |_, _| {})
        .await
        .unwrap();
    let ranges = server
        .requests()
        .iter()
        .filter(|seen| seen.headers.contains_key("range"))
        .count();
    assert_eq!(ranges, 1);

    for name in ["model.safetensors", "config.json"] {
        let place = Place::new();
        let server = hub(safetensors(), move |asked, reply| match asked == name {
            true => Reply::file(b"something else"),
            false => reply,
        })
        .await;
        let failure = client(&server, &[], &place.token())
            .fetch(&place.to(), |_, _| {})
            .await
            .unwrap_err();
        assert_eq!(failure.reason, reasons::DIGEST_MISMATCH, "{failure}");
        assert!(!place.to().join(name).exists());
    }
}

#[rstest]
#[case::token("", &[], reasons::FORBIDDEN, "tokenSecretRef")]
#[case::file(TOKEN, &["none.gguf"], reasons::FILE_NOT_FOUND, "README.md")]
#[tokio::test]
async fn what_cannot_be_fetched_is_told(
    #[case] token: &str,
    #[case] files: &[&str],
    #[case] reason: &str,
    #[case] says: &str,
) {
    let (server, place) = (hub(gguf(), |_, reply| reply).await, Place::new());
    std::fs::write(place.token(), token).unwrap();
    let failure = client(&server, files, &place.token())
        .fetch(&place.to(), |_, _| {})
        .await
        .unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.retryable), (reason, false));
    assert!(
        failure.message.contains(says) && !failure.message.contains(TOKEN),
        "{failure}"
    );
}

#[tokio::test]
async fn an_unknown_revision_names_the_fields() {
    let (server, place) = (hub(gguf(), |_, reply| reply).await, Place::new());
    let other = Hub {
        revision: "v2/x".into(),
        ..client(&server, &[], &place.token())
    };
    let failure = other.fetch(&place.to(), |_, _| {}).await.unwrap_err();
    assert_eq!(failure.reason, reasons::NOT_FOUND);
    assert!(
        failure.message.contains("revision") && failure.message.contains("v2%2Fx"),
        "{failure}"
    );
}
