//! The APIService that leads autoscalers to us: made only where no other provider has it.

use std::time::Duration;

use api::names::{LABEL_MANAGED_BY, MANAGED_BY, OPERATOR};
use k8s_openapi::{
    ByteString,
    api::rbac::v1::ClusterRoleBinding,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec, ServiceReference},
};
use kube::{
    Api, Client, ResourceExt,
    api::{PartialObjectMeta, Patch, PatchParams},
};
use tokio::time::timeout;

use super::discovery::GROUP;

const NAME: &str = "v1beta1.external.metrics.k8s.io";
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
/// Certificates that are kept, so that replicas that are gone leave no traces for ever.
const CERTIFICATES: usize = 16;

/// Keeps the APIService.
pub struct Registration {
    client: Client,
    namespace: String,
}

/// What is to be done about the APIService.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    Apply(Box<APIService>),
    /// Another provider has it.
    Leave(String),
}

impl Registration {
    /// Leads to the Service of the operator in `namespace`.
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// The name by which the API server checks the certificate.
    pub fn host(&self) -> String {
        format!("{OPERATOR}.{}.svc", self.namespace)
    }

    /// Makes the API server know the certificate `pem`; says whether the API is ours.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses.
    pub async fn ensure(&self, pem: &str) -> Result<bool, String> {
        let services = Api::<APIService>::all(self.client.clone());
        let bindings = Api::<ClusterRoleBinding>::all(self.client.clone());
        let existing = call("read APIService", services.get_opt(NAME)).await?;
        let owner = call("read ClusterRoleBinding", bindings.get_metadata(OPERATOR)).await?;
        match step(existing.as_ref(), &self.namespace, &reference(&owner), pem) {
            Step::Nothing => Ok(true),
            Step::Leave(other) => {
                tracing::warn!(
                    other,
                    "another provider serves {GROUP}: models can be scaled by CPU only; \
                     delete APIService {NAME} to let Atelier serve it"
                );
                Ok(false)
            }
            Step::Apply(desired) => {
                let params = PatchParams::apply(OPERATOR).force();
                call(
                    "apply APIService",
                    services.patch(NAME, &params, &Patch::Apply(&*desired)),
                )
                .await?;
                tracing::info!("APIService {NAME} leads to this replica");
                Ok(true)
            }
        }
    }
}

async fn call<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    let answer = timeout(CALL_TIMEOUT, call).await;
    let answer = answer.map_err(|_| format!("failed to {what}: no answer in time"))?;
    answer.map_err(|error| format!("failed to {what}: {error}"))
}

/// The APIService goes with the chart: nobody could be reached behind it, and namespaces could not be
/// deleted as long as it is there.
fn reference(owner: &PartialObjectMeta<ClusterRoleBinding>) -> OwnerReference {
    OwnerReference {
        api_version: "rbac.authorization.k8s.io/v1".into(),
        kind: "ClusterRoleBinding".into(),
        name: OPERATOR.into(),
        uid: owner.uid().unwrap_or_default(),
        ..OwnerReference::default()
    }
}

fn step(existing: Option<&APIService>, namespace: &str, owner: &OwnerReference, pem: &str) -> Step {
    if let Some(existing) = existing
        && existing.labels().get(LABEL_MANAGED_BY).map(String::as_str) != Some(MANAGED_BY)
    {
        let service = existing.spec.as_ref().and_then(|spec| spec.service.as_ref());
        let name = |name: Option<&String>| name.cloned().unwrap_or_default();
        return Step::Leave(service.map_or_else(String::new, |it| {
            format!("{}/{}", name(it.namespace.as_ref()), name(it.name.as_ref()))
        }));
    }
    let before = existing.and_then(|existing| existing.spec.as_ref()?.ca_bundle.as_ref());
    let before = before.map_or("", |bundle| std::str::from_utf8(&bundle.0).unwrap_or_default());
    let spec = APIServiceSpec {
        ca_bundle: Some(ByteString(bundle(before, pem).into_bytes())),
        group: Some(GROUP.into()),
        group_priority_minimum: 100,
        insecure_skip_tls_verify: Some(false),
        service: Some(ServiceReference {
            name: Some(OPERATOR.into()),
            namespace: Some(namespace.into()),
            port: Some(443),
        }),
        version: Some("v1beta1".into()),
        version_priority: 100,
    };
    let is_there = existing.is_some_and(|existing| {
        // What is false is left out by the API server.
        let same = existing.spec.as_ref().map(|it| APIServiceSpec {
            insecure_skip_tls_verify: Some(it.insecure_skip_tls_verify == Some(true)),
            ..it.clone()
        });
        same.as_ref() == Some(&spec) && existing.owner_references().contains(owner)
    });
    if is_there {
        return Step::Nothing;
    }
    Step::Apply(Box::new(APIService {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            labels: Some([(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned())].into()),
            owner_references: Some(vec![owner.clone()]),
            // Another replica may be adding its own certificate: the next look finds both.
            resource_version: existing.and_then(|existing| existing.metadata.resource_version.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }))
}

/// The certificates of `before`, and `pem` behind them.
fn bundle(before: &str, pem: &str) -> String {
    let certificates = |text: &str| -> Vec<String> {
        let blocks = text.split(BEGIN).skip(1);
        blocks.map(|block| format!("{BEGIN}{}\n", block.trim_end())).collect()
    };
    let mut all = certificates(before);
    for own in certificates(pem) {
        if !all.contains(&own) {
            all.push(own);
        }
    }
    all.split_off(all.len().saturating_sub(CERTIFICATES)).concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pem(body: &str) -> String {
        format!("{BEGIN}\n{body}\n-----END CERTIFICATE-----\n")
    }

    fn owner(uid: &str) -> OwnerReference {
        OwnerReference {
            uid: uid.into(),
            ..OwnerReference::default()
        }
    }

    fn applied(step: Step) -> APIService {
        let Step::Apply(service) = step else { panic!("{step:?}") };
        *service
    }

    fn bundle_of(service: &APIService) -> String {
        let bundle = service.spec.as_ref().and_then(|spec| spec.ca_bundle.clone()).unwrap();
        String::from_utf8(bundle.0).unwrap()
    }

    #[test]
    fn replicas_add_their_certificates_and_then_write_nothing() {
        let mut service = applied(step(None, "ns", &owner("a"), &pem("one")));
        assert_eq!((service.name_any().as_str(), bundle_of(&service)), (NAME, pem("one")));
        service.metadata.resource_version = Some("7".into());
        assert_eq!(step(Some(&service), "ns", &owner("a"), &pem("one")), Step::Nothing);
        let both = applied(step(Some(&service), "ns", &owner("a"), &pem("two")));
        assert_eq!(bundle_of(&both), pem("one") + &pem("two"));
        assert_eq!(both.metadata.resource_version.as_deref(), Some("7"));
        for pem in [pem("one"), pem("two")] {
            assert_eq!(step(Some(&both), "ns", &owner("a"), &pem), Step::Nothing);
        }
        // A chart that was installed anew is another owner.
        applied(step(Some(&both), "ns", &owner("b"), &pem("one")));
        let mut open = both.clone();
        open.spec.as_mut().unwrap().insecure_skip_tls_verify = Some(true);
        applied(step(Some(&open), "ns", &owner("a"), &pem("one")));
    }

    #[test]
    fn what_another_provider_has_is_left_to_it() {
        let other = json!({
            "metadata": {"name": NAME},
            "spec": {
                "group": GROUP, "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"name": "keda-operator-metrics-apiserver", "namespace": "keda"},
            },
        });
        let other: APIService = serde_json::from_value(other).unwrap();
        let step = step(Some(&other), "ns", &owner("a"), &pem("one"));
        assert_eq!(step, Step::Leave("keda/keda-operator-metrics-apiserver".into()));
    }

    #[test]
    fn the_bundle_forgets_the_oldest() {
        let mut all = String::new();
        for number in 0..CERTIFICATES + 3 {
            all = bundle(&all, &pem(&format!("{number}")));
        }
        assert_eq!(all.matches(BEGIN).count(), CERTIFICATES);
        assert!(all.starts_with(&pem("3")) && all.ends_with(&pem("18")), "{all}");
        assert_eq!(bundle("no certificate", &pem("a")), pem("a"));
    }
}
