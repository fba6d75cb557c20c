//! Where weights come from, and each way in which that goes wrong.

use anyhow::{Context, Result, ensure};
use atelier_e2e::files::{Behaviour, FileServer, range};
use atelier_e2e::hub::{self, HubServer};
use atelier_e2e::registry::{self, RegistryServer};
use atelier_e2e::s3::{self, S3Server};
use atelier_e2e::volume::Volume;
use atelier_e2e::{Model, Namespace, model, settings, with_namespace};
use axum::http::{HeaderMap, StatusCode};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::DeleteParams;
use protocol::report::reasons;
use serde_json::{Value, json};

const FILE_BYTES: usize = 98_362_432;
/// Ranges in which a file of this size comes.
const PIECE_BYTES: usize = 16 << 20;

fn weights() -> Result<Vec<u8>> {
    std::fs::read(settings::model_file()?).context("failed to read the model's file")
}

/// The source that downloads what a server offers.
fn http(server: &FileServer) -> Value {
    json!({"http": {"url": server.url, "sha256": server.sha256}})
}

/// Creates a model whose weights come from a server and returns what it says when it is refused.
async fn refused(namespace: &Namespace, server: &FileServer, reason: &str) -> Result<String> {
    let model = Model::create(namespace, "m", model::with_source(http(server))).await?;
    model.not_ready(reason).await
}

#[tokio::test]
async fn a_broken_download_is_resumed() -> Result<()> {
    with_namespace("resume", async |namespace| {
        // The answer that only tells the size, and two of the ranges that follow it.
        let cut = Behaviour::Cut {
            after: PIECE_BYTES / 4,
            times: 3,
        };
        let server = FileServer::start(weights()?, cut).await?;
        let secret = json!({"metadata": {"name": "headers"}, "stringData": {"X-Team": "blue"}});
        namespace.create_object::<Secret>(secret).await?;
        let mut source = http(&server);
        source["http"]["headersSecretRef"] = json!({"name": "headers"});
        let model = Model::create(&namespace, "m", model::with_source(source)).await?;
        model.ready().await?;
        let requests = server.requests();
        let goes_on = |headers: &&HeaderMap| range(headers, FILE_BYTES).is_some_and(|it| it.start % PIECE_BYTES != 0);
        ensure!(requests.iter().any(|headers| goes_on(&headers)), "{requests:#?}");
        let named = requests
            .iter()
            .all(|headers| headers.get("x-team").is_some_and(|team| team == "blue"));
        ensure!(named, "the Secret's header is missing: {requests:#?}");
        let answer = namespace
            .gateway()
            .await?
            .ask(&model.address(), "Name the capital city of France.")
            .await?;
        ensure!(answer.contains("Paris"), "{answer}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_stalled_download_says_where_it_stands() -> Result<()> {
    with_namespace("stall", async |namespace| {
        let server = FileServer::start(weights()?, Behaviour::Stall { after: 1 << 20 }).await?;
        let message = refused(&namespace, &server, reasons::DOWNLOAD_FAILED).await?;
        ensure!(message.contains(&server.url), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_missing_file_is_told_with_its_url() -> Result<()> {
    with_namespace("not-found", async |namespace| {
        let server = FileServer::start("not served", Behaviour::Status(StatusCode::NOT_FOUND)).await?;
        let message = refused(&namespace, &server, reasons::NOT_FOUND).await?;
        ensure!(message.contains(&server.url) && message.contains("404"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn refused_credentials_are_told() -> Result<()> {
    with_namespace("unauthorized", async |namespace| {
        let server = FileServer::start("not served", Behaviour::Status(StatusCode::UNAUTHORIZED)).await?;
        let message = refused(&namespace, &server, reasons::FORBIDDEN).await?;
        ensure!(
            message.contains("401") && message.contains("headersSecretRef"),
            "{message}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_wrong_digest_is_refused_and_the_right_one_serves() -> Result<()> {
    with_namespace("digest", async |namespace| {
        let server = FileServer::start(weights()?, Behaviour::Whole).await?;
        let wrong = "0".repeat(64);
        let source = json!({"http": {"url": server.url, "sha256": wrong}});
        let model = Model::create(&namespace, "m", model::with_source(source)).await?;
        let message = model.not_ready(reasons::DIGEST_MISMATCH).await?;
        ensure!(
            message.contains(&wrong) && message.contains(&server.sha256),
            "{message}"
        );
        model.patch(json!({"spec": {"source": http(&server)}})).await?;
        model.ready().await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn files_that_are_no_models_are_refused() -> Result<()> {
    let mut truncated = weights()?;
    truncated.truncate(FILE_BYTES / 2);
    let mut wrong_magic = weights()?;
    wrong_magic[..4].copy_from_slice(b"GGUX");
    let mut unknown_architecture = weights()?;
    let name = find(&unknown_architecture, b"llama").context("the file does not name its architecture")?;
    unknown_architecture[name..name + 5].copy_from_slice(b"bloom");
    for (what, content, reason, says) in [
        ("truncated", truncated, reasons::TRUNCATED, "bytes"),
        ("magic", wrong_magic, reasons::UNSUPPORTED_FORMAT, "GGUF"),
        (
            "architecture",
            unknown_architecture,
            reasons::UNSUPPORTED_ARCHITECTURE,
            "bloom",
        ),
    ] {
        with_namespace(what, async |namespace| {
            let server = FileServer::start(content, Behaviour::Whole).await?;
            let message = refused(&namespace, &server, reason).await?;
            ensure!(message.contains(says), "{message}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Where some bytes first occur.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[tokio::test]
async fn a_missing_image_is_told_with_its_name() -> Result<()> {
    with_namespace("no-image", async |namespace| {
        let source = json!({"oci": {"image": "localhost/atelier/no-such-model:1", "pullPolicy": "Never"}});
        let model = Model::create(&namespace, "m", model::with_source(source)).await?;
        let message = model.not_ready("ImagePullFailed").await?;
        ensure!(message.contains("localhost/atelier/no-such-model:1"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_claim_serves_and_a_missing_one_is_told() -> Result<()> {
    with_namespace("claim", async |namespace| {
        let source = json!({"persistentVolumeClaim": {"claimName": "weights", "path": "models/small.gguf"}});
        let model = Model::create(&namespace, "m", model::with_source(source)).await?;
        let message = model.not_ready("ReferenceNotFound").await?;
        ensure!(message.contains("weights"), "{message}");

        let dir = tempfile::tempdir().context("failed to create a directory")?;
        std::fs::create_dir(dir.path().join("models"))?;
        std::fs::copy(settings::model_file()?, dir.path().join("models/small.gguf"))
            .context("failed to copy the model's file")?;
        let volume = Volume::create(&namespace, dir).await?;
        model.ready().await?;
        let answer = namespace
            .gateway()
            .await?
            .ask(&model.address(), "Name the capital city of France.")
            .await?;
        ensure!(answer.contains("Paris"), "{answer}");

        model
            .patch(json!({"spec": {"source": {"persistentVolumeClaim": {"path": "other.gguf"}}}}))
            .await?;
        let condition = model.condition("Progressing", "False", reasons::FILE_NOT_FOUND).await?;
        ensure!(condition.message.contains("other.gguf"), "{}", condition.message);
        namespace.delete_model("m").await?;
        volume.delete(&namespace).await
    })
    .await
}

#[tokio::test]
async fn a_repository_is_served_at_the_commit_that_was_found_first() -> Result<()> {
    with_namespace("hub", async |namespace| {
        let (first, second) = ("1".repeat(40), "2".repeat(40));
        let server = HubServer::start(weights()?, &first).await?;
        let secret = json!({"metadata": {"name": "hub"}, "stringData": {"token": "wrong"}});
        let secret: Secret = namespace.create_object(secret).await?;
        let source = json!({"huggingFace": {
            "repo": hub::REPOSITORY, "endpoint": server.endpoint, "tokenSecretRef": {"name": "hub", "key": "token"},
        }});
        let model = Model::create(&namespace, "m", model::with_source(source)).await?;
        let message = model.not_ready(reasons::FORBIDDEN).await?;
        ensure!(
            message.contains("tokenSecretRef") && !message.contains("wrong"),
            "{message}"
        );

        // A change of what is wanted makes the operator look again, with the right token.
        let secrets: Api<Secret> = namespace.api();
        let name = secret.metadata.name.unwrap_or_default();
        let right = json!({"stringData": {"token": hub::TOKEN}});
        secrets
            .patch(
                &name,
                &kube::api::PatchParams::default(),
                &kube::api::Patch::Merge(right),
            )
            .await?;
        model
            .patch(json!({"spec": {"source": {"huggingFace": {"files": ["small.gguf"]}}}}))
            .await?;
        model.ready().await?;

        // The branch moves on, and a new pod fetches what the old one had.
        server.move_branch(&second);
        let (pod, before) = (model.serving_pod().await?, server.asked().len());
        let pods: Api<Pod> = namespace.api();
        pods.delete(&pod, &DeleteParams::default()).await?;
        atelier_e2e::wait::until("another pod serves", async || {
            let serving = model.serving_pod().await?;
            Ok((serving != pod).then_some(()))
        })
        .await?;
        model.ready().await?;
        let asked = server.asked();
        ensure!(
            asked.len() > before && asked.iter().all(|commit| *commit == first),
            "{asked:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_object_is_served_and_another_in_its_place_is_refused() -> Result<()> {
    with_namespace("object-store", async |namespace| {
        let server = S3Server::start().await?;
        server.put("small/small.gguf", weights()?).await?;
        server.put("small/README.md", "# Small").await?;
        let mut settings = server.settings();
        settings["AWS_SECRET_ACCESS_KEY"] = json!("wrong-key");
        let secret = json!({"metadata": {"name": "store"}, "stringData": settings});
        namespace.create_object::<Secret>(secret).await?;
        let folder = format!("s3://{}/small/", s3::BUCKET);
        let source = json!({"objectStore": {"uri": folder, "credentialsSecretRef": {"name": "store"}}});
        let model = Model::create(&namespace, "m", model::with_source(source)).await?;
        let message = model.not_ready(reasons::FORBIDDEN).await?;
        ensure!(
            message.contains("credentialsSecretRef") && !message.contains("wrong-key"),
            "{message}"
        );

        // A change of what is wanted makes the operator look again, with the right key.
        let secrets: Api<Secret> = namespace.api();
        let right = kube::api::Patch::Merge(json!({"stringData": server.settings()}));
        secrets
            .patch("store", &kube::api::PatchParams::default(), &right)
            .await?;
        let file = format!("{folder}small.gguf");
        model
            .patch(json!({"spec": {"source": {"objectStore": {"uri": file}}}}))
            .await?;
        model.ready().await?;
        let answer = namespace
            .gateway()
            .await?
            .ask(&model.address(), "Name the capital city of France.")
            .await?;
        ensure!(answer.contains("Paris"), "{answer}");

        // Somebody replaces the object: a new pod does not serve it.
        let pod = model.serving_pod().await?;
        let mut other = weights()?;
        let last = other.len() - 1;
        other[last] ^= 1;
        server.put("small/small.gguf", other).await?;
        let pods: Api<Pod> = namespace.api();
        pods.delete(&pod, &DeleteParams::default()).await?;
        model.not_ready(reasons::DIGEST_MISMATCH).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_artifact_is_served_at_the_digest_that_was_found_first() -> Result<()> {
    with_namespace("artifact", async |namespace| {
        let server = RegistryServer::start().await?;
        server.push("small:1", &[("small.gguf", weights()?.into())]).await?;
        let secret = |password: &str| {
            json!({
                "metadata": {"name": "registry"}, "type": "kubernetes.io/dockerconfigjson",
                "stringData": {".dockerconfigjson": server.login(password).to_string()},
            })
        };
        namespace.create_object::<Secret>(secret("wrong-password")).await?;
        let source = |path: &str| {
            json!({"oci": {
                "image": server.image("small:1"), "type": "Artifact", "path": path, "plainHttp": true,
                "pullSecrets": [{"name": "registry"}],
            }})
        };
        let model = Model::create(&namespace, "m", model::with_source(source("*.gguf"))).await?;
        let message = model.not_ready(reasons::FORBIDDEN).await?;
        ensure!(
            message.contains("pullSecrets") && !message.contains("wrong-password"),
            "{message}"
        );

        // A change of what is wanted makes the operator look again, with the right password.
        let secrets: Api<Secret> = namespace.api();
        let right = kube::api::Patch::Merge(json!({"stringData": secret(registry::PASSWORD)["stringData"]}));
        secrets
            .patch("registry", &kube::api::PatchParams::default(), &right)
            .await?;
        model.patch(json!({"spec": {"source": source("small.gguf")}})).await?;
        model.ready().await?;
        let answer = namespace
            .gateway()
            .await?
            .ask(&model.address(), "Name the capital city of France.")
            .await?;
        ensure!(answer.contains("Paris"), "{answer}");

        // The tag moves on to what is no model, and a new pod fetches what the old one had.
        server.push("small:1", &[("small.gguf", "no model".into())]).await?;
        let pod = model.serving_pod().await?;
        let pods: Api<Pod> = namespace.api();
        pods.delete(&pod, &DeleteParams::default()).await?;
        atelier_e2e::wait::until("another pod serves", async || {
            let serving = model.serving_pod().await?;
            Ok((serving != pod).then_some(()))
        })
        .await?;
        model.ready().await?;
        Ok(())
    })
    .await
}
