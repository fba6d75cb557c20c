//! The subcommand as the operator runs it: arguments in, exit code and report out.

use clap::Parser;
use gguf::Value;
use protocol::report::{EXIT_PERMANENT, EXIT_TEMPORARY};
use rstest::rstest;

use super::*;
use crate::testing::{Reply, Server, tiny_model, tiny_model_with, write_encoder};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
    Cli::try_parse_from([&["prepare"], arguments].concat()).map(|cli| cli.args)
}

fn sha256(content: &[u8]) -> String {
    Digest::of(content).unwrap().to_string()
}

/// Runs with a report file; returns the exit code and what the report says.
async fn outcome(arguments: &[&str]) -> (i32, PrepareOutcome) {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    let arguments = [arguments, &["--report", report.to_str().unwrap()]].concat();
    let code = run(parse(&arguments).unwrap()).await;
    let text = std::fs::read_to_string(report).unwrap();
    (code, PrepareOutcome::parse(&text).unwrap())
}

async fn failure(arguments: &[&str]) -> (i32, PrepareFailure) {
    match outcome(arguments).await {
        (code, PrepareOutcome::Failed(failure)) => (code, failure),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_download_ends_with_a_report() {
    let content = tiny_model();
    let server = Server::start([Reply::file(&content)]).await;
    let dir = tempfile::tempdir().unwrap();
    let headers = dir.path().join("headers");
    std::fs::create_dir(&headers).unwrap();
    std::fs::write(headers.join("X-Team"), "blue\n").unwrap();
    let to = dir.path().join("model");
    let (code, outcome) = outcome(&[
        "--url",
        &server.url("/m.gguf"),
        "--sha256",
        &sha256(&content),
        "--to",
        to.to_str().unwrap(),
        "--headers-file",
        headers.to_str().unwrap(),
    ])
    .await;
    let PrepareOutcome::Ready(report) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(code, 0);
    assert_eq!(report.digest, format!("sha256:{}", sha256(&content)));
    assert_eq!(
        (report.bytes, report.file.as_str()),
        (content.len() as u64, WEIGHTS_FILE)
    );
    assert_eq!(report.model.quantization, "Q4_1");
    assert_eq!(std::fs::read(to.join(&report.file)).unwrap(), content);
    assert_eq!(server.requests()[0].headers["x-team"], "blue");
}

#[rstest]
#[case::truncated(tiny_model()[..2000].to_vec(), protocol::report::reasons::TRUNCATED, "bytes")]
#[case::magic([b"GGUX", &tiny_model()[4..]].concat(), reasons::UNSUPPORTED_FORMAT, "GGUF")]
#[case::architecture(
    tiny_model_with(&[("general.architecture", Some(Value::String("bloom".into())))]),
    reasons::UNSUPPORTED_ARCHITECTURE,
    "bloom"
)]
#[tokio::test]
async fn a_downloaded_file_that_is_no_model_is_refused(
    #[case] content: Vec<u8>,
    #[case] reason: &str,
    #[case] says: &str,
) {
    let server = Server::start([Reply::file(&content)]).await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().to_str().unwrap();
    let (code, failure) = failure(&["--url", &server.url("/"), "--sha256", &sha256(&content), "--to", to]).await;
    assert_eq!((code, failure.reason.as_str()), (EXIT_PERMANENT, reason), "{failure}");
    assert!(failure.message.contains(says), "{failure}");
}

#[tokio::test]
async fn a_server_in_trouble_gives_the_temporary_code() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start([Reply::status(503).header("Retry-After", "86400")]).await;
    let to = dir.path().to_str().unwrap();
    let (code, failure) = failure(&["--url", &server.url("/"), "--sha256", &sha256(b"x"), "--to", to]).await;
    assert_eq!((code, failure.retryable), (EXIT_TEMPORARY, true), "{failure}");
}

#[tokio::test]
async fn a_file_of_a_directory_is_prepared() {
    let dir = tempfile::tempdir().unwrap();
    let content = tiny_model();
    std::fs::write(dir.path().join("small.gguf"), &content).unwrap();
    let digest = sha256(&content);
    let path = dir.path().to_str().unwrap();
    for arguments in [vec!["--path", path], vec!["--path", path, "--sha256", &digest]] {
        let (code, outcome) = outcome(&arguments).await;
        let PrepareOutcome::Ready(report) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((code, report.file.as_str()), (0, "small.gguf"));
        assert_eq!(report.digest, format!("sha256:{digest}"));
    }
}

#[tokio::test]
async fn a_mounted_file_is_compared_with_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("small.gguf"), tiny_model()).unwrap();
    let wrong = "0".repeat(64);
    let (code, failure) = failure(&["--path", dir.path().to_str().unwrap(), "--sha256", &wrong]).await;
    assert_eq!(
        (code, failure.reason.as_str()),
        (EXIT_PERMANENT, reasons::DIGEST_MISMATCH)
    );
    for digest in [wrong, sha256(&tiny_model())] {
        assert!(failure.message.contains(&digest), "{failure}");
    }
}

#[tokio::test]
async fn an_object_is_prepared_and_pinned() {
    let content = tiny_model();
    let server = Server::start([Reply::file(&content).etag("\"1\"").header("x-amz-version-id", "v7")]).await;
    let dir = tempfile::tempdir().unwrap();
    for (key, value) in [
        ("AWS_ENDPOINT_URL", server.url("").as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ] {
        std::fs::write(dir.path().join(key), value).unwrap();
    }
    let (settings, to) = (dir.path().to_str().unwrap(), dir.path().join("to"));
    let from = ["--object-store", "s3://models/m.gguf", "--credentials-dir", settings];
    let arguments = [&from[..], &["--to", to.to_str().unwrap()]].concat();
    let (code, outcome) = outcome(&arguments).await;
    let PrepareOutcome::Ready(report) = outcome else {
        panic!("{outcome:?}")
    };
    let digest = format!("sha256:{}", sha256(&content));
    assert_eq!((code, report.file.as_str(), report.digest), (0, "m.gguf", digest));
    assert_eq!(report.revision.as_deref(), Some("v7"));

    let wrong = "0".repeat(64);
    let pinned = [&arguments[..], &["--sha256", &wrong, "--object-version", "v7"]].concat();
    let (code, failure) = failure(&pinned).await;
    assert_eq!(
        (code, failure.reason.as_str()),
        (EXIT_PERMANENT, reasons::DIGEST_MISMATCH)
    );
}

#[rstest]
#[case("file:///models/m.gguf", "spec.source.persistentVolumeClaim")]
#[case("s3://models/../m.gguf", "spec.source.objectStore.uri")]
#[tokio::test]
async fn addresses_that_no_pod_can_read_are_refused(#[case] uri: &str, #[case] says: &str) {
    let (code, failure) = failure(&["--object-store", uri, "--to", "/nowhere"]).await;
    assert_eq!(code, EXIT_PERMANENT);
    assert!(failure.message.contains(says), "{failure}");
}

#[tokio::test]
async fn a_directory_of_safetensors_files_is_one_model() {
    let dir = tempfile::tempdir().unwrap();
    write_encoder(dir.path());
    let path = dir.path().to_str().unwrap();
    // The digest that a person can compute: sorted lines of names and sums.
    let line = |name: &str| {
        let content = std::fs::read(dir.path().join(name)).unwrap();
        format!("{name} {}\n", sha256(&content))
    };
    let lines = ["config.json", "model.safetensors", "tokenizer.json"]
        .map(line)
        .concat();
    let digest = sha256(lines.as_bytes());
    let (code, outcome) = outcome(&["--path", path, "--sha256", &digest]).await;
    let PrepareOutcome::Ready(report) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((code, report.digest), (0, format!("sha256:{digest}")));
    assert_eq!(
        (report.model.format.as_str(), report.model.architecture.as_str()),
        ("safetensors", "bert")
    );
    assert_eq!(
        (report.model.vocabulary_size, report.model.quantization.as_str()),
        (4, "F32")
    );
    let weights = std::fs::metadata(dir.path().join("model.safetensors")).unwrap().len();
    assert_eq!(report.bytes, weights);

    // What decides no answer may change, what does may not.
    std::fs::write(dir.path().join("README.md"), "other").unwrap();
    assert_eq!(digest::verify(dir.path(), &digest).unwrap(), format!("sha256:{digest}"));
    std::fs::write(dir.path().join("special_tokens_map.json"), "{}").unwrap();
    let (code, failure) = failure(&["--path", path, "--sha256", &digest]).await;
    assert_eq!(
        (code, failure.reason.as_str()),
        (EXIT_PERMANENT, reasons::DIGEST_MISMATCH)
    );
}

#[rstest]
#[case(&[])]
#[case(&["--url", "http://h.example/m"])]
#[case(&["--url", "http://h.example/m", "--to", "/model"])]
#[case(&["--url", "http://h.example/m", "--sha256", "12", "--to", "/model"])]
#[case(&["--to", "/model", "--path", "/model"])]
#[case(&["--headers-file", "/headers", "--path", "/model"])]
#[case(&["--object-store", "s3://b/k"])]
#[case(&["--object-store", "s3://b/k", "--to", "/model", "--path", "/model"])]
#[case(&["--credentials-dir", "/credentials", "--path", "/model"])]
fn arguments_that_do_not_fit_are_refused(#[case] arguments: &[&str]) {
    assert!(parse(arguments).is_err());
}

#[test]
fn arguments_do_not_show_secrets() {
    let digest = "0".repeat(64);
    let args = parse(&[
        "--url",
        "http://a:secret@h.example/m?s=secret",
        "--sha256",
        &digest,
        "--to",
        "/m",
    ])
    .unwrap();
    assert!(!format!("{args:?}").contains("secret"), "{args:?}");
}

#[tokio::test]
async fn a_second_pod_of_a_node_downloads_nothing() {
    let content = tiny_model();
    let server = Server::start([Reply::file(&content)]).await;
    let dir = tempfile::tempdir().unwrap();
    let digest = sha256(&content);
    let url = server.url("/m.gguf");
    let cached = |url: &str| {
        let to = dir.path().to_str().unwrap();
        let all = ["--url", url, "--sha256", &digest, "--to", to, "--cache-size", "1000000"];
        all.map(str::to_owned)
    };
    for url in [&url, "http://127.0.0.1:1/elsewhere"] {
        let arguments = cached(url);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, outcome) = outcome(&arguments).await;
        let PrepareOutcome::Ready(report) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((code, report.file.as_str(), report.revision), (0, WEIGHTS_FILE, None));
    }
    assert_eq!(server.requests().len(), 1);
    let entry = dir.path().join(paths::CACHE_ENTRIES).join(&digest);
    assert_eq!(std::fs::read(entry.join(paths::CACHE_WEIGHTS)).unwrap(), content);
}
