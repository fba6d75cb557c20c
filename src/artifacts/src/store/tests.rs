//! Against a server that speaks S3 as far as we ask: listings by pages, ranges, ETags and versions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;

use super::*;
use crate::testing::{Reply, Seen, Server, tiny_model};

mod everything;
mod ranges;

/// What a bucket holds, by key.
type Content = BTreeMap<&'static str, Vec<u8>>;

/// An answer as S3 gives it when it refuses.
fn refusal(status: u16, code: &str) -> Reply {
    let xml =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Because &#34;so&#34;.</Message></Error>");
    Reply::file(xml.as_bytes()).with_status(status)
}

fn query<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = path.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Pages of two keys, with a token that says where the next one begins.
fn listing(content: &Content, path: &str) -> Reply {
    let prefix = query(path, "prefix").unwrap_or_default().replace("%2F", "/");
    let first = query(path, "continuation-token").map_or(0, |token| token.parse().unwrap());
    let keys: Vec<_> = content.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
    let entry = |(key, bytes): &(&&str, &Vec<u8>)| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
            etag(bytes),
            bytes.len()
        )
    };
    let entries: String = keys.iter().skip(first).take(2).map(entry).collect();
    let next = match first + 2 < keys.len() {
        true => format!("<NextContinuationToken>{}</NextContinuationToken>", first + 2),
        false => String::new(),
    };
    let xml = format!("<?xml version=\"1.0\"?><ListBucketResult>{entries}{next}</ListBucketResult>");
    Reply::file(xml.as_bytes())
}

fn etag(bytes: &[u8]) -> String {
    crate::digest::Digest::of(bytes).unwrap().to_string()
}

/// A server of the bucket `models` in the region `eu-1`, for the owner of one key. `alter` may change an answer.
async fn bucket(content: Content, alter: impl Fn(&Seen, Reply) -> Reply + Send + 'static) -> Server {
    Server::choosing(move |seen| {
        let signed = seen
            .headers
            .get("authorization")
            .map(String::as_str)
            .unwrap_or_default();
        if !signed.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") {
            return refusal(403, "InvalidAccessKeyId");
        }
        if !signed.contains("/eu-1/s3/aws4_request") {
            return refusal(400, "AuthorizationHeaderMalformed");
        }
        let Some(rest) = seen.path.strip_prefix("/models") else {
            return refusal(404, "NoSuchBucket");
        };
        if query(rest, "list-type") == Some("2") {
            return alter(seen, listing(&content, rest));
        }
        let key = rest.split('?').next().unwrap_or_default().trim_start_matches('/');
        let Some(bytes) = content.get(key) else {
            return refusal(404, "NoSuchKey");
        };
        let etag = format!("\"{}\"", etag(bytes));
        if seen.headers.get("if-match").is_some_and(|wanted| *wanted != etag) {
            return refusal(412, "PreconditionFailed");
        }
        alter(seen, Reply::file(bytes).etag(&etag))
    })
    .await
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// With a Secret of these keys.
    fn new(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("secret")).unwrap();
        for (key, value) in settings {
            std::fs::write(dir.path().join("secret").join(key), value).unwrap();
        }
        Self { dir }
    }

    /// With all that the server asks for.
    fn at(server: &Server) -> Self {
        let url = server.url("");
        Self::new(&[
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_ALLOW_HTTP", "true"),
            KEY,
            SECRET,
            REGION,
        ])
    }

    fn to(&self) -> PathBuf {
        self.dir.path().join("to")
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

    async fn fetch(&self, uri: &str) -> Result<Fetched, PrepareFailure> {
        self.store(uri).fetch(&self.to(), |_, _| {}).await
    }

    async fn refused(&self, uri: &str) -> PrepareFailure {
        self.fetch(uri).await.unwrap_err()
    }
}

const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKID");
const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests\n");
const REGION: (&str, &str) = ("AWS_REGION", "eu-1");
const FILE: &str = "s3://models/small/m.gguf";

fn gguf() -> Content {
    [("small/m.gguf", tiny_model()), ("small/README.md", b"# hi".to_vec())].into()
}

fn safetensors() -> Content {
    [
        ("enc/", Vec::new()),
        ("enc/config.json", b"{}".to_vec()),
        ("enc/1_Pooling/config.json", b"{ }".to_vec()),
        ("enc/tokenizer.json", vec![b'x'; 3000]),
        ("enc/model.safetensors", vec![7; 200_000]),
        ("enc/training_args.bin", vec![1; 10]),
        ("encoder/config.json", b"other".to_vec()),
    ]
    .into()
}

fn reads(server: &Server) -> Vec<Seen> {
    let is_read = |seen: &Seen| !seen.path.contains("list-type");
    server.requests().into_iter().filter(is_read).collect()
}

#[tokio::test]
async fn a_file_is_fetched_once() {
    let server = bucket(gguf(), |_, reply| reply).await;
    let place = Place::at(&server);
    let mut last = (0, None);
    let fetched = place
        .store(FILE)
        .fetch(&place.to(), |bytes, total| last = (bytes, total))
        .await
        .unwrap();
    let size = tiny_model().len() as u64;
    assert_eq!(last, (size, Some(size)));
    assert_eq!((&fetched.path, fetched.version), (&place.to().join("m.gguf"), None));
    assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model());

    let before = reads(&server).len();
    place.fetch(FILE).await.unwrap();
    assert_eq!(reads(&server).len() - before, 1, "only the look at what is there");
}

#[tokio::test]
async fn the_files_of_a_folder_come_together() {
    let server = bucket(safetensors(), |_, reply| reply).await;
    for uri in ["s3://models/enc", "s3://models/enc/"] {
        let place = Place::at(&server);
        assert_eq!(place.fetch(uri).await.unwrap().path, place.to());
        for (key, content) in safetensors() {
            let Some(name) = key.strip_prefix("enc/").filter(|name| !name.is_empty()) else {
                continue;
            };
            let found = std::fs::read(place.to().join(name)).ok();
            assert_eq!(found, (name != "training_args.bin").then_some(content), "{name}");
        }
    }
    let pages = server
        .requests()
        .iter()
        .filter(|seen| seen.path.contains("continuation-token"))
        .count();
    assert_eq!(pages, 2 * 2);
}

/// Leaves the first bytes of a file, as a process does that is killed.
async fn begun() -> (Place, Vec<u8>) {
    let server = bucket(gguf(), |seen, reply| match seen.headers.contains_key("if-match") {
        true => reply.cut_after(1000),
        false => reply,
    })
    .await;
    let place = Place::at(&server);
    let failure = place.refused(FILE).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DOWNLOAD_FAILED, true)
    );
    assert!(!place.to().join("m.gguf").exists());
    let part = std::fs::read(place.to().join("m.gguf.part")).unwrap();
    assert!(!part.is_empty());
    (place, part)
}

fn move_to(place: &Place, server: &Server) {
    let file = place.dir.path().join("secret/AWS_ENDPOINT_URL");
    std::fs::write(file, server.url("")).unwrap();
}

#[tokio::test]
async fn the_rest_of_a_file_is_fetched_and_not_the_whole() {
    let (place, part) = begun().await;
    let server = bucket(gguf(), |_, reply| reply).await;
    move_to(&place, &server);
    let fetched = place.fetch(FILE).await.unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), tiny_model());
    let rest = reads(&server).pop().unwrap();
    assert_eq!(rest.headers["range"], format!("bytes={}-", part.len()));
    assert_eq!(rest.headers["if-match"], format!("\"{}\"", etag(&tiny_model())));
}

#[tokio::test]
async fn another_version_is_fetched_from_its_first_byte() {
    let (place, _) = begun().await;
    let mut other = tiny_model();
    other.reverse();
    let content: Content = [("small/m.gguf", other.clone())].into();
    let server = bucket(content, |_, reply| reply).await;
    move_to(&place, &server);
    let fetched = place.fetch(FILE).await.unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), other);
    assert!(reads(&server).iter().all(|seen| !seen.headers.contains_key("range")));
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_no_mixture() {
    let asked = AtomicUsize::new(0);
    let server = bucket(gguf(), move |seen, reply| {
        match (
            seen.headers.contains_key("if-match"),
            asked.fetch_add(1, Ordering::Relaxed),
        ) {
            (false, _) => reply,
            (true, 1) => reply.cut_after(1000),
            (true, _) => refusal(412, "PreconditionFailed"),
        }
    })
    .await;
    let place = Place::at(&server);
    let failure = place.refused(FILE).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DOWNLOAD_FAILED, true)
    );
    assert!(failure.message.contains("changes while it is fetched"), "{failure}");
    assert!(!place.to().join("m.gguf").exists());
}

#[tokio::test]
async fn a_version_is_fetched_again_while_the_store_has_it() {
    let server = bucket(gguf(), |seen, reply| match query(&seen.path, "versionId") {
        None | Some("v1") => reply.header("x-amz-version-id", "v1"),
        Some(_) => refusal(404, "NoSuchVersion"),
    })
    .await;
    for (version, asked) in [(None, 1), (Some("v1"), 2), (Some("gone"), 2)] {
        let place = Place::at(&server);
        let store = Store {
            version: version.map(str::to_owned),
            ..place.store(FILE)
        };
        let before = reads(&server).len();
        let fetched = store.fetch(&place.to(), |_, _| {}).await.unwrap();
        assert_eq!(fetched.version.as_deref(), Some("v1"), "{version:?}");
        let of_v1 = |seen: &&Seen| query(&seen.path, "versionId") == Some("v1");
        assert_eq!(
            reads(&server)[before..].iter().filter(of_v1).count(),
            asked.min(1 + usize::from(version == Some("v1")))
        );
    }
}

#[rstest]
#[case::bucket("s3://others/m.gguf", &[], reasons::NOT_FOUND, "NoSuchBucket")]
#[case::file("s3://models/none.gguf", &[], reasons::NOT_FOUND, "bucket and path in spec.source.objectStore.uri")]
#[case::folder("s3://models/none/", &[], reasons::FILE_NOT_FOUND, "it has nothing")]
#[case::key("s3://models/small/", &[("AWS_ACCESS_KEY_ID", "OTHER")], reasons::FORBIDDEN, "credentialsSecretRef")]
#[case::region("s3://models/small/", &[("AWS_REGION", "us-9")], reasons::NOT_FOUND, "AWS_REGION")]
#[case::words("s3://others/m.gguf", &[], reasons::NOT_FOUND, "404 NoSuchBucket: Because \"so\"; check")]
#[case::setting("s3://models/small/", &[("AWS_REGOIN", "x")], reasons::FORBIDDEN, "AWS_REGOIN")]
#[case::unheeded("s3://models/small/", &[("AWS_PROXY_URL", "x")], reasons::FORBIDDEN, "AWS_PROXY_URL")]
#[case::unencrypted("s3://models/small/", &[("AWS_ALLOW_HTTP", "false")], reasons::FORBIDDEN, "AWS_ALLOW_HTTP")]
#[tokio::test]
async fn what_cannot_be_fetched_is_told(
    #[case] uri: &str,
    #[case] settings: &[(&str, &str)],
    #[case] reason: &str,
    #[case] says: &str,
) {
    let server = bucket(gguf(), |_, reply| reply).await;
    let place = Place::at(&server);
    for (key, value) in settings {
        std::fs::write(place.dir.path().join("secret").join(key), value).unwrap();
    }
    let failure = place.refused(uri).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reason, false),
        "{failure}"
    );
    assert!(failure.message.contains(says), "{failure}");
    assert!(!failure.message.contains("secret-of-the-tests"), "{failure}");
}

#[rstest]
#[case::none(&[("OTHER", "x")], "no key that begins with AWS_")]
#[case::half(&[KEY], "SecretAccessKey")]
#[tokio::test]
async fn a_missing_key_of_the_secret_is_named(#[case] settings: &[(&str, &str)], #[case] says: &str) {
    let failure = Place::new(settings).refused(FILE).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::FORBIDDEN, false)
    );
    assert!(
        failure.message.contains(says) && failure.message.contains("credentialsSecretRef"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_store_that_nobody_answers_for_is_worth_another_try() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let place = Place::new(&[
        ("AWS_ENDPOINT_URL", &url),
        ("AWS_ALLOW_HTTP", "true"),
        KEY,
        SECRET,
        REGION,
    ]);
    let failure = place.refused(FILE).await;
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::DOWNLOAD_FAILED, true)
    );
    assert!(failure.message.contains("endpoint"), "{failure}");
}

#[tokio::test]
async fn google_cloud_storage_is_set_up_by_the_document_of_an_account() {
    let content = tiny_model();
    let server = Server::start([Reply::file(&content)
        .etag("\"1\"")
        .header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        .header("x-goog-generation", "7")])
    .await;
    let account = serde_json::json!({
        "gcs_base_url": server.url(""), "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "",
    });
    let place = Place::new(&[
        ("GOOGLE_SERVICE_ACCOUNT", &account.to_string()),
        ("GOOGLE_ALLOW_HTTP", "true"),
    ]);
    let fetched = place.fetch("gs://models/small/m.gguf").await.unwrap();
    assert_eq!(fetched.version.as_deref(), Some("7"));
    assert_eq!(std::fs::read(fetched.path).unwrap(), content);
    assert_eq!(server.requests()[0].path, "/models/small%2Fm%2Egguf");
}
