//! Against a registry as the distribution specification describes it, with a server of tokens.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Reply, Seen, Server, tiny_model};

const TOKEN: &str = "t0ken";

fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).unwrap().prefixed()
}

/// What a repository holds: blobs and the manifest over them.
#[derive(Clone)]
struct Content {
    manifest: Vec<u8>,
    blobs: Vec<Vec<u8>>,
}

impl Content {
    fn new(files: &[(&str, &str, Vec<u8>)]) -> Self {
        let layer = |(name, media_type, bytes): &(&str, &str, Vec<u8>)| {
            json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len(),
                "annotations": {"org.opencontainers.image.title": name}})
        };
        let layers: Vec<Value> = files.iter().map(layer).collect();
        Self {
            manifest: json!({"schemaVersion": 2, "layers": layers}).to_string().into_bytes(),
            blobs: files.iter().map(|(_, _, bytes)| bytes.clone()).collect(),
        }
    }

    fn model() -> Self {
        Self::new(&[
            ("q/m.gguf", "application/octet-stream", tiny_model()),
            ("README.md", "text/markdown", b"# hi".to_vec()),
        ])
    }
}

/// What a registry asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    Basic,
    Token,
}

/// A registry of the repository `team/model` with the tag `1`. `alter` may change an answer to what was allowed.
async fn registry(content: Content, asks: Asks, alter: impl Fn(&Seen, Reply) -> Reply + Send + 'static) -> Server {
    let basic = format!("Basic {}", STANDARD.encode("ann:secret"));
    Server::choosing(move |seen| {
        let sent = seen.headers.get("authorization").map(String::as_str);
        if seen.path == "/token?service=r&scope=repository%3Ateam%2Fmodel%3Apull" {
            return match sent == Some(&basic) {
                true => Reply::file(json!({"token": TOKEN}).to_string().as_bytes()),
                false => Reply::status(401),
            };
        }
        let host = &seen.headers["host"];
        let challenge = match asks {
            Asks::Basic if sent != Some(&basic) => Some("Basic realm=\"r\"".to_owned()),
            Asks::Token if sent != Some("Bearer t0ken") => Some(format!(
                "Bearer realm=\"http://{host}/token\",service=\"r\",scope=\"repository:team/model:pull,push\""
            )),
            _ => None,
        };
        if let Some(challenge) = challenge {
            return Reply::status(401).header("WWW-Authenticate", challenge);
        }
        let Some(rest) = seen.path.strip_prefix("/v2/team/model/") else {
            return Reply::status(404);
        };
        let found = match rest.split_once('/') {
            Some(("manifests", name)) => {
                let is_it = name == "1" || name == digest(&content.manifest);
                is_it.then_some(&content.manifest)
            }
            Some(("blobs", name)) => content.blobs.iter().find(|bytes| digest(bytes) == name),
            _ => None,
        };
        found.map_or(Reply::status(404), |bytes| alter(seen, Reply::file(bytes)))
    })
    .await
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// With a login for a registry.
    fn new(server: &Server, password: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = server.url("").replace("http://", "");
        let config = json!({"auths": {host: {"username": "ann", "password": password}}});
        std::fs::create_dir(dir.path().join("secrets")).unwrap();
        std::fs::write(dir.path().join("secrets/0.json"), config.to_string()).unwrap();
        Self { dir }
    }

    fn to(&self) -> PathBuf {
        self.dir.path().join("to")
    }

    fn oci(&self, server: &Server, name: &str) -> Oci {
        Oci {
            image: format!("{}/{name}", server.url("").replace("http://", "")),
            digest: None,
            files: Vec::new(),
            what: What::Model,
            credentials: vec![self.dir.path().join("secrets")],
            plain_http: false,
            settings: Settings::impatient(),
        }
    }

    async fn fetch(&self, server: &Server) -> Result<Fetched, PrepareFailure> {
        self.oci(server, "team/model:1").fetch(&self.to(), |_, _| {}).await
    }
}

fn same(_: &Seen, reply: Reply) -> Reply {
    reply
}

#[rstest]
#[case::nothing(Asks::Nothing, 2)]
#[case::basic(Asks::Basic, 3)]
#[case::token(Asks::Token, 4)]
#[tokio::test]
async fn the_model_of_an_artifact_is_fetched(#[case] asks: Asks, #[case] requests: usize) {
    let content = Content::model();
    let server = registry(content.clone(), asks, same).await;
    let place = Place::new(&server, "secret");
    let mut last = (0, None);
    let oci = place.oci(&server, "team/model:1");
    let fetched = oci
        .fetch(&place.to(), |bytes, total| last = (bytes, total))
        .await
        .unwrap();
    let size = tiny_model().len() as u64;
    assert_eq!(last, (size, Some(size)));
    assert_eq!(
        (fetched.digest, &fetched.path),
        (digest(&content.manifest), &place.to().join("q/m.gguf"))
    );
    assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model());
    assert_eq!(server.requests().len(), requests);
}

#[tokio::test]
async fn a_digest_counts_and_not_the_tag() {
    let content = Content::model();
    let server = registry(content.clone(), Asks::Nothing, same).await;
    let place = Place::new(&server, "secret");
    let mut oci = place.oci(&server, "team/model:moved-on");
    oci.digest = Some(digest(&content.manifest));
    oci.fetch(&place.to(), |_, _| {}).await.unwrap();
    assert!(server.requests().iter().all(|seen| !seen.path.contains("moved-on")));
}

#[rstest]
#[case::file("q/m.gguf")]
#[case::directory("q/")]
#[case::pattern("*.gguf")]
#[tokio::test]
async fn a_part_of_an_artifact_is_fetched(#[case] name: &str) {
    let mut content = Content::model();
    let other = ("other.gguf.txt", "text/plain", b"x".to_vec());
    content.manifest = Content::new(&[("q/m.gguf", "a/b", tiny_model()), other]).manifest;
    let server = registry(content, Asks::Nothing, same).await;
    let place = Place::new(&server, "secret");
    let mut oci = place.oci(&server, "team/model:1");
    oci.files = vec![name.to_owned()];
    let fetched = oci.fetch(&place.to(), |_, _| {}).await.unwrap();
    assert_eq!(fetched.path, place.to().join("q/m.gguf"));
    assert!(!place.to().join("other.gguf.txt").exists());
}

#[tokio::test]
async fn an_adapter_is_two_files_of_an_artifact() {
    let content = Content::new(&[
        ("adapter_config.json", "application/json", b"{}".to_vec()),
        (
            "adapter_model.safetensors",
            "application/octet-stream",
            b"weights".to_vec(),
        ),
        ("README.md", "text/markdown", b"# hi".to_vec()),
    ]);
    let manifest = digest(&content.manifest);
    let server = registry(content, Asks::Token, same).await;
    let place = Place::new(&server, "secret");
    let secrets = place.dir.path().join("secrets");
    // As the kubelet mounts a Secret.
    std::fs::rename(secrets.join("0.json"), secrets.join(".dockerconfigjson")).unwrap();
    std::fs::create_dir(secrets.join("..data")).unwrap();
    let source = json!({"oci": {
        "image": place.oci(&server, "team/model:1").image,
        "credentialsDirs": [place.dir.path().join("missing"), secrets],
    }});
    let wanted = serde_json::from_value(json!({"name": "a", "key": "s-0", "source": source})).unwrap();
    let found = crate::adapter::find(&wanted, &place.to()).await.unwrap();
    assert_eq!(
        (found.revision, &found.directory),
        (Some(manifest), &place.to().join("s-0"))
    );
    assert_eq!(
        std::fs::read(found.directory.join("adapter_model.safetensors")).unwrap(),
        b"weights"
    );
    assert!(!found.directory.join("README.md").exists());
}

#[tokio::test]
async fn an_index_leads_to_its_artifact() {
    let content = Content::model();
    let index = json!({"manifests": [{"digest": digest(&content.manifest), "size": 1}]}).to_string();
    let expected = digest(index.as_bytes());
    let server = registry(content, Asks::Nothing, move |seen, reply| {
        match seen.path.ends_with("/1") {
            true => Reply::file(index.as_bytes()),
            false => reply,
        }
    })
    .await;
    let fetched = Place::new(&server, "secret").fetch(&server).await.unwrap();
    assert_eq!(fetched.digest, expected);
}

#[tokio::test]
async fn a_blob_elsewhere_is_fetched_without_the_token() {
    let store = Server::start([Reply::file(&tiny_model())]).await;
    let url = store.url("/signed?sig=1");
    let server = registry(Content::model(), Asks::Token, move |seen, reply| {
        match seen.path.contains("/blobs/") {
            true => Reply::status(307).header("Location", url.clone()),
            false => reply,
        }
    })
    .await;
    Place::new(&server, "secret").fetch(&server).await.unwrap();
    let seen = &store.requests()[0];
    assert!(!seen.headers.contains_key("authorization"), "{seen:?}");
}

#[tokio::test]
async fn a_question_of_another_host_gets_no_credentials() {
    let realm = Server::start([Reply::file(br#"{"token":"x"}"#)]).await;
    let challenge = format!("Bearer realm=\"{}\"", realm.url("/token"));
    let store = Server::start([Reply::status(401).header("WWW-Authenticate", challenge)]).await;
    let url = store.url("/signed");
    let server = registry(Content::model(), Asks::Token, move |seen, reply| {
        match seen.path.contains("/blobs/") {
            true => Reply::status(307).header("Location", url.clone()),
            false => reply,
        }
    })
    .await;
    let failure = Place::new(&server, "secret").fetch(&server).await.unwrap_err();
    assert_eq!(failure.reason, reasons::FORBIDDEN);
    assert!(realm.requests().is_empty());
}

#[tokio::test]
async fn a_token_that_ends_midway_is_followed_by_another() {
    let server = {
        let count = AtomicUsize::new(0);
        registry(Content::model(), Asks::Token, move |seen, reply| {
            if !seen.path.contains("/blobs/") {
                return reply;
            }
            match count.fetch_add(1, Ordering::Relaxed) {
                0 => reply.cut_after(4000),
                1 => {
                    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"r\"", seen.headers["host"]);
                    Reply::status(401).header("WWW-Authenticate", challenge)
                }
                _ => reply,
            }
        })
        .await
    };
    Place::new(&server, "secret").fetch(&server).await.unwrap();
    let requests = server.requests();
    let tokens = requests.iter().filter(|seen| seen.path.starts_with("/token")).count();
    assert_eq!(tokens, 2);
    assert_eq!(requests.last().unwrap().headers["range"], "bytes=4000-");
}

#[rstest]
#[case::password(Asks::Basic, "wrong", reasons::FORBIDDEN, "pullSecrets")]
#[case::token(Asks::Token, "wrong", reasons::FORBIDDEN, "pullSecrets")]
#[tokio::test]
async fn wrong_credentials_are_told(
    #[case] asks: Asks,
    #[case] password: &str,
    #[case] reason: &str,
    #[case] says: &str,
) {
    let server = registry(Content::model(), asks, same).await;
    let failure = Place::new(&server, password).fetch(&server).await.unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.retryable), (reason, false));
    assert!(
        failure.message.contains(says) && !failure.message.contains("wrong"),
        "{failure}"
    );
    assert!(server.requests().len() <= 3, "{:?}", server.requests());
}

#[rstest]
#[case::no_token_for_it("team/other:1", reasons::FORBIDDEN, "pullSecrets")]
#[case::tag("team/model:2", reasons::NOT_FOUND, "/v2/team/model/manifests/2")]
#[case::address("team//model:1", reasons::DOWNLOAD_FAILED, "path of a repository")]
#[tokio::test]
async fn what_is_not_there_is_told(#[case] name: &str, #[case] reason: &str, #[case] says: &str) {
    let server = registry(Content::model(), Asks::Token, same).await;
    let place = Place::new(&server, "secret");
    let failure = place
        .oci(&server, name)
        .fetch(&place.to(), |_, _| {})
        .await
        .unwrap_err();
    assert_eq!(failure.reason, reason, "{failure}");
    assert!(failure.message.contains(says), "{failure}");
    assert!(!failure.retryable);
}

#[tokio::test]
async fn a_container_image_is_no_artifact() {
    let layer = ("x", "application/vnd.oci.image.layer.v1.tar+gzip", b"tar".to_vec());
    let server = registry(Content::new(&[layer]), Asks::Nothing, same).await;
    let failure = Place::new(&server, "secret").fetch(&server).await.unwrap_err();
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::FILE_NOT_FOUND, false)
    );
    for says in ["1 of its layers are archives", "type: Image"] {
        assert!(failure.message.contains(says), "{failure}");
    }
}

#[rstest]
#[case::manifest(true)]
#[case::blob(false)]
#[tokio::test]
async fn other_bytes_than_the_digest_names_are_refused(#[case] manifest: bool) {
    let content = Content::model();
    let server = registry(content.clone(), Asks::Nothing, move |seen, reply| {
        match seen.path.contains("/manifests/") == manifest {
            true => Reply::file(b"{\"layers\": []}"),
            false => reply,
        }
    })
    .await;
    let place = Place::new(&server, "secret");
    let mut oci = place.oci(&server, "team/model:1");
    oci.digest = Some(digest(&content.manifest));
    let failure = oci.fetch(&place.to(), |_, _| {}).await.unwrap_err();
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DIGEST_MISMATCH, false)
    );
    assert!(!place.to().join("q/m.gguf").exists());
}

#[tokio::test]
async fn a_manifest_without_end_is_refused() {
    let server = Server::start([Reply::file(&vec![b' '; (4 << 20) + 1])]).await;
    let failure = Place::new(&server, "secret").fetch(&server).await.unwrap_err();
    assert!(failure.message.contains("4 MiB") && !failure.retryable, "{failure}");
}
