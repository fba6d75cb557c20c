//! Words of the most different pairs: kept where a spec asks for it, shown to those who may read them and to nobody else.

use anyhow::{Context, Result, ensure};
use api::shadowdeployment::Metric;
use atelier_e2e::gateway::{self, Gateway};
use atelier_e2e::{Model, Namespace, Shadow, installation, model, plugin, room, shadow, traffic::Traffic, wait};
use atelier_e2e::{namespace::ASKER, with_namespace};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use protocol::shadows::PREFIX;
use reqwest::StatusCode;
use serde_json::{Value, json};

const WORDS: &str = "shadow_content";

/// Somebody with some verbs on ShadowDeployments.
async fn with_verbs(namespace: &Namespace, name: &str, verbs: &[&str]) -> Result<Gateway> {
    let somebody = room::person(namespace, name).await?;
    let rules = json!([{"apiGroups": ["atelier.dev"], "resources": ["shadowdeployments"], "verbs": verbs}]);
    namespace
        .create_object::<Role>(json!({"metadata": {"name": name}, "rules": rules}))
        .await?;
    namespace
        .create_object::<RoleBinding>(json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace.name}],
        }))
        .await?;
    Ok(somebody)
}

/// The report as the gateway serves it.
async fn served(somebody: &Gateway, shadow: &Shadow) -> Result<(StatusCode, Value)> {
    let path = format!("{PREFIX}{}/{}/report", shadow.namespace.name, shadow.name);
    gateway::read(somebody.get(&path).await?).await
}

#[tokio::test]
async fn words_are_kept_where_the_spec_asks_for_it_and_shown_to_auditors_alone() -> Result<()> {
    with_namespace("words", async |namespace| {
        installation::with_contents().await?;
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        let mut spec = model::bundled();
        spec["prompt"] = json!({"system": "You are a pirate and speak like one."});
        let pirate = Model::create(&namespace, "pirate", spec).await?;
        model.ready().await?;
        pirate.ready().await?;
        let compare = json!({
            "primary": {"metric": "RougeL", "margin": "20%"},
            "guardrails": [{"metric": "CrossPerplexity", "margin": "50%"}],
        });
        let stop = json!({"minPairs": 30, "maxPairs": 60});
        let mut spec = shadow::spec("m", &json!({"model": "pirate"}), &compare, &stop);
        spec["retention"] = json!({"content": "1h", "prompts": true});
        let shadow = Shadow::create(&namespace, "words", spec).await?;
        let reader = with_verbs(&namespace, "reader", &["get"]).await?;
        let auditor = with_verbs(&namespace, "auditor", &["get", "audit"]).await?;
        let gateway = namespace.gateway().await?;
        let address = model.address();
        let ask = move |user, number| shadow::question(&address, (user, number), 10, 0.0);
        let traffic = Traffic::asking(&gateway, 2, ask).await?;
        let (_, status) = shadow.verdict().await?;
        traffic.stop_without_failure().await?;

        // How likely each of the two models finds what the other said was measured by the models themselves.
        let found = status.metrics.iter().find(|it| it.metric == Metric::CrossPerplexity);
        let found = found.with_context(|| format!("CrossPerplexity was not measured: {status:#?}"))?;
        ensure!(found.primary.is_some() && found.difference.is_some(), "{found:?}");

        let (code, report) = served(&reader, &shadow).await?;
        ensure!(
            code == StatusCode::OK && report["content"] == "withheld" && report["verdict"].is_string(),
            "{code}: {report:#}"
        );
        ensure!(
            report == shadow.report().await?,
            "the gateway serves another report: {report:#}"
        );
        let (code, refused) = served(&gateway, &shadow).await?;
        ensure!(code.is_client_error(), "who may only ask reads it: {code}: {refused:#}");
        let (code, report) = served(&auditor, &shadow).await?;
        ensure!(code == StatusCode::OK, "{code}: {report:#}");
        let examples = report["content"]["kept"].as_array().context("no words are kept")?;
        ensure!((1..=20).contains(&examples.len()), "{examples:#?}");
        for example in examples {
            let text = |field: &str| example[field].as_str().unwrap_or_default();
            ensure!(text("prompt").contains("This is question"), "{example:#}");
            ensure!(
                !text("primary").is_empty() && !text("candidate").is_empty(),
                "{example:#}"
            );
        }
        let first = &examples[0];
        ensure!(
            first["primary"] != first["candidate"],
            "the most different pair is alike: {first:#}"
        );

        // The same in a terminal, and on a page.
        let name = &namespace.name;
        let report = ["shadow", "report", "words", "--namespace", name];
        let prompt = first["prompt"].as_str().unwrap_or_default();
        let told = plugin::succeed(&[&report[..], &["--words", "--service-account", "auditor"]].concat()).await?;
        ensure!(told.contains(prompt), "{told}");
        let told = plugin::succeed(&[&report[..], &["--words", "--service-account", "reader"]].concat()).await?;
        ensure!(!told.contains(prompt), "{told}");
        let refused = plugin::run(&[&report[..], &["--words", "--service-account", ASKER]].concat()).await?;
        ensure!(!refused.success, "{refused:?}");

        // They go when the spec asks for them no more.
        let uid = shadow.get().await?.metadata.uid.context("no uid")?;
        ensure!(shadow::rows(WORDS, &uid).await? > 0, "the test looks where nothing is");
        shadow.patch(json!({"spec": {"retention": null}})).await?;
        wait::until("the words to be gone", async || {
            Ok((shadow::rows(WORDS, &uid).await? == 0).then_some(()))
        })
        .await?;
        let (_, report) = served(&auditor, &shadow).await?;
        ensure!(report["content"] == "withheld", "{report:#}");
        Ok(())
    })
    .await
}
