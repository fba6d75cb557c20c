//! What cannot be compared is said, by its field.

use anyhow::{Result, ensure};
use api::ShadowDeployment;
use atelier_e2e::{Model, Shadow, installation, kubectl, model, shadow, with_namespace};
use serde_json::{Value, json};

#[tokio::test]
async fn what_cannot_be_compared_is_refused_by_the_name_of_its_field() -> Result<()> {
    with_namespace("refused", async |namespace| {
        installation::with_contents().await?;
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let version = model.version().await?;
        let errors = json!({"primary": {"metric": "Errors"}});
        let stop = json!({"minPairs": 30, "maxPairs": 400});
        let with = |candidate: Value, compare: &Value| shadow::spec("m", &candidate, compare, &stop);
        let nobody = json!({"model": "nobody"});
        let judged = json!({"primary": {"metric": "Judge", "model": {"name": "nobody"}}});
        let cases = [
            ("absent", with(nobody, &errors), "CandidateGone", "spec.candidate.model"),
            ("same", with(json!({"version": version}), &errors), "InvalidSpec", "serves already"),
            ("unknown", with(json!({"version": "v-0000000000"}), &errors), "CandidateGone", "status.versions"),
            (
                "margin",
                with(json!({"model": "other"}), &json!({"primary": {"metric": "RougeL", "margin": "100%"}})),
                "InvalidSpec",
                "margin",
            ),
        ];
        for (name, spec, reason, words) in cases {
            let told = Shadow::create(&namespace, name, spec).await?.not_ready(reason).await?;
            ensure!(told.contains(words), "{name}: {told}");
        }
        // A judge that is not there is missed once both can answer.
        Model::create(&namespace, "other", model::bundled()).await?.ready().await?;
        let judged = Shadow::create(&namespace, "judged", with(json!({"model": "other"}), &judged)).await?;
        let told = judged.not_ready("ReferenceNotFound").await?;
        ensure!(told.contains("nobody"), "{told}");

        // And what can be seen at once is refused at once.
        let object = |spec: Value| {
            json!({"apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment", "metadata": {"name": "x"}, "spec": spec})
        };
        let mut promoting = with(json!({"model": "other"}), &errors);
        promoting["onPass"] = json!("Promote");
        for (spec, words) in [
            (promoting, "need candidate.version"),
            (with(json!({"model": "m"}), &errors), "must not be the model itself"),
            (with(json!({}), &errors), "exactly one of version and model"),
        ] {
            let refused = namespace.create_object::<ShadowDeployment>(object(spec)).await;
            let told = refused.err().map(|error| format!("{error:#}")).unwrap_or_default();
            ensure!(told.contains(words), "{told}");
        }
        let change = json!({"spec": {"compare": {"alpha": "0.5"}}}).to_string();
        let args = ["patch", "shadow", "judged", "--namespace", &namespace.name, "--type", "merge", "--patch", &change];
        let told = kubectl::run(&args, "").await?;
        ensure!(!told.success && told.stderr.contains("spec.compare cannot be changed"), "{told:?}");
        Ok(())
    })
    .await
}
