//! Copies of requests that pass Atelier's gateway by: an HTTPRoute that leads to what serves and mirrors to the candidate, and
//! policies that let the proxies in. Pure.
//!
//! Answers to these copies are nobody's, by Gateway API, so no pair comes of them and no verdict rests on them: the candidate
//! only gets to bear the load. The route stays as long as the ShadowDeployment, for users may come by it; with the verdict it
//! loses its mirror. A route needs no operator, so one that is away takes no mirror away.

use std::{collections::BTreeMap, time::Duration};

use api::{
    LlmModel, ShadowDeploymentStatus,
    common::GatewayApiRoute,
    conditions::{self, Finding, Status, types},
    names::{self, LABEL_COMPONENT},
    reasons,
    shadowdeployment::ShadowDeploymentSpec,
};
use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::{ResourceExt, api::ObjectMeta};
use protocol::ports::WORKER_API;
use shadow::sample::Percent;

use super::{arms::Arms, dereference::Observed, validate::Owner};
use crate::{
    controllers::common::{
        gateway_api::{fault, parents, proxies, told},
        trouble::Trouble,
    },
    http_route::{BackendRef, Filter, Fraction, HttpRoute, HttpRouteSpec, RequestMirror, Rule, ServiceRef},
};

/// All requests, in millionths of a percent: Gateways know whole numbers alone.
const ALL: i32 = 100_000_000;
/// Copied, if the spec does not say.
const USUAL: &str = "10%";

/// Between looks at a route that is as it should be.
const LOOK: Duration = Duration::from_secs(60);
/// Between looks at one that is not.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What leads requests to the models, and copies of them to the candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The route.
    pub route: HttpRoute,
    /// What lets proxies reach the pods of the model.
    pub policy: NetworkPolicy,
}

/// Whether the status says that there may be a route.
pub fn is_told(status: Option<&ShadowDeploymentStatus>) -> bool {
    status.is_some_and(|status| conditions::find(&status.conditions, types::ROUTE_ACCEPTED).is_some())
}

/// What is known of the route that a spec asks for; nothing where it asks for none, and none is left.
pub fn finding(spec: &ShadowDeploymentSpec, owner: &Owner, observed: &Observed) -> Option<Finding> {
    let finding = |status: Status, reason: &str, message: String| {
        Some(Finding::new(types::ROUTE_ACCEPTED, status, reason, message))
    };
    let (routes, name) = (&observed.routes, &owner.name);
    let Some(asked) = &spec.route else {
        if routes.found.is_empty() {
            return None;
        }
        let message = format!("spec.route is not set: HTTPRoute {name} is being deleted");
        return finding(Status::False, reasons::ROUTE_PENDING, message);
    };
    if let Some(trouble) = &routes.trouble {
        return finding(Status::False, &trouble.reason, trouble.message.clone());
    }
    let is_it = |it: &&HttpRoute| it.name_any() == *name && it.metadata.deletion_timestamp.is_none();
    match routes.found.iter().find(is_it) {
        Some(route) => Some(told(route, &asked.gateway_api, &owner.namespace)),
        None => {
            let message = format!("HTTPRoute {name} is written as soon as the model serves");
            finding(Status::Unknown, reasons::ROUTE_PENDING, message)
        }
    }
}

/// When to look at the route again.
pub fn look_in(before: &ShadowDeploymentStatus, after: &ShadowDeploymentStatus) -> Option<Duration> {
    let now = conditions::find(&after.conditions, types::ROUTE_ACCEPTED)?;
    Some(match now.status == Status::True.as_str() {
        true => LOOK,
        // It may be written now.
        false if !is_told(Some(before)) => Duration::ZERO,
        false => LOOK_AGAIN,
    })
}

/// The way that a spec asks for; it mirrors to the candidate of `arms`, if there is one.
///
/// # Errors
/// Why there is none.
pub fn build(
    owner: &Owner,
    spec: &ShadowDeploymentSpec,
    observed: &Observed,
    arms: Option<&Arms>,
) -> Result<Option<Way>, Trouble> {
    let Some(asked) = spec.route.as_ref().map(|route| &route.gateway_api) else {
        return Ok(None);
    };
    let Some(model) = &observed.model else {
        return Ok(None);
    };
    if let Some(why) = refusal(spec, asked, owner, observed) {
        return Err(Trouble::new(reasons::INVALID_SPEC, why));
    }
    let name = model.name_any();
    let backends: Vec<_> = shares(model)
        .into_iter()
        .map(|(version, weight)| BackendRef {
            name: names::version_child(&name, &version),
            port: WORKER_API.into(),
            weight,
        })
        .collect();
    if backends.is_empty() {
        return Ok(None);
    }
    let mut rule = Rule::of_models(backends);
    rule.filters.extend(arms.map(|arms| mirror(spec, arms)));
    let route = HttpRoute {
        metadata: metadata(owner, owner.name.clone()),
        spec: HttpRouteSpec {
            parent_refs: parents(asked),
            hostnames: asked.hostnames.clone(),
            rules: vec![rule],
        },
        status: None,
    };
    let policy = policy(owner, asked, &name);
    Ok(Some(Way { route, policy }))
}

fn refusal(spec: &ShadowDeploymentSpec, asked: &GatewayApiRoute, owner: &Owner, observed: &Observed) -> Option<String> {
    if let Some(fault) = fault(asked, &owner.namespace) {
        return Some(fault);
    }
    let model = observed.model.as_ref()?;
    if model.spec.source.provider.is_some() {
        return Some(format!(
            "spec.route: LlmModel {} of spec.model is hosted, so no route leads to it: remove spec.route",
            model.name_any()
        ));
    }
    let own = &model.spec.route.as_ref()?.gateway_api;
    let shares_host = own.hostnames.is_empty()
        || asked.hostnames.is_empty()
        || own.hostnames.iter().any(|host| asked.hostnames.contains(host));
    let shares_parent = own.parent_refs.iter().any(|parent| asked.parent_refs.contains(parent));
    (shares_host && shares_parent).then(|| {
        format!(
            "spec.route.gatewayApi: LlmModel {} has a route of its own at the same Gateway for the same hosts, and of two the \
             older one wins: give this one hostnames of its own",
            spec.model.name
        )
    })
}

/// Versions of the model that users get, and what share of them, in percent.
fn shares(model: &LlmModel) -> Vec<(String, i32)> {
    let status = model.status.as_ref();
    let Some(current) = status.and_then(|status| status.current_version.clone()) else {
        return Vec::new();
    };
    match status.and_then(|status| status.canary.as_ref()) {
        Some(canary) if canary.version != current => {
            vec![(current, 100 - canary.weight), (canary.version.clone(), canary.weight)]
        }
        _ => vec![(current, 100)],
    }
}

fn mirror(spec: &ShadowDeploymentSpec, arms: &Arms) -> Filter {
    let percent = spec.sample.as_ref().map_or(USUAL, |sample| sample.percent.as_str());
    // One that cannot be read is refused elsewhere. None at all would mean that everything is copied.
    let percent = percent.parse::<Percent>().unwrap_or(Percent::from_millionths(0));
    Filter {
        type_: "RequestMirror".into(),
        request_mirror: Some(RequestMirror {
            backend_ref: ServiceRef {
                name: names::version_child(&arms.candidate.model, &arms.candidate.version),
                port: WORKER_API.into(),
            },
            fraction: Fraction {
                numerator: i32::try_from(percent.millionths()).unwrap_or(ALL),
                denominator: ALL,
            },
        }),
    }
}

/// Lets proxies reach the pods of a model, beside those whom its own policies let in.
fn policy(owner: &Owner, asked: &GatewayApiRoute, model: &str) -> NetworkPolicy {
    let pods = [(names::LABEL_MODEL, model), (LABEL_COMPONENT, names::COMPONENT_SERVE)];
    let pods: BTreeMap<String, String> = pods.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    NetworkPolicy {
        metadata: metadata(owner, names::shadow_policy(&owner.name, model)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(pods),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: Some(vec![proxies(asked, &owner.namespace)]),
                ports: Some(vec![NetworkPolicyPort {
                    protocol: Some("TCP".into()),
                    port: Some(IntOrString::Int(WORKER_API.into())),
                    end_port: None,
                }]),
            }]),
            egress: None,
        }),
    }
}

fn metadata(owner: &Owner, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(owner.namespace.clone()),
        labels: Some(names::shadow_labels(&owner.name)),
        owner_references: Some(vec![owner.reference.clone()]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::shadowdeployment::{
        arms::arms,
        testing::{CANDIDATE, PRIMARY, model, shadow},
    };

    fn way(fields: Value, of_model: Value, is_compared: bool) -> Result<Option<Way>, Trouble> {
        let shadow = shadow(fields);
        let observed = Observed {
            model: Some(model(of_model)),
            ..Observed::default()
        };
        let owner = Owner::new(&shadow).unwrap();
        let arms = arms(&shadow.spec, &observed).unwrap();
        build(&owner, &shadow.spec, &observed, is_compared.then_some(&arms))
    }

    fn asked(hosts: &[&str]) -> Value {
        json!({"gatewayApi": {"parentRefs": [{"name": "public", "namespace": "edge"}], "hostnames": hosts}})
    }

    #[test]
    fn a_share_is_mirrored_while_it_is_compared_and_the_way_stays() {
        let fields = json!({"route": asked(&["m.example.com"]), "sample": {"percent": "2.5%"}});
        let found = way(fields.clone(), json!({}), true).unwrap().unwrap();
        let rule = serde_json::to_value(&found.route.spec.rules[0]).unwrap();
        assert_eq!(
            rule["filters"],
            json!([{"type": "RequestMirror", "requestMirror": {
                "backendRef": {"name": format!("m-{CANDIDATE}"), "port": 8000},
                "fraction": {"numerator": 2_500_000, "denominator": 100_000_000},
            }}])
        );
        assert_eq!(rule["backendRefs"][0]["name"], format!("m-{PRIMARY}"));
        assert_eq!(rule["backendRefs"][0]["weight"], 100);
        let from = serde_json::to_value(&found.policy.spec.as_ref().unwrap().ingress).unwrap();
        assert_eq!(
            from[0]["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"],
            json!(["edge"])
        );

        let after = way(fields, json!({}), false).unwrap().unwrap();
        assert!(after.route.spec.rules[0].filters.is_empty());
        assert_eq!(after.policy, found.policy);
        assert_eq!(way(json!({}), json!({}), true), Ok(None));
    }

    #[rstest]
    #[case::other_hosts(asked(&["other.example.com"]), true)]
    #[case::same_host(asked(&["m.example.com"]), false)]
    #[case::all_hosts(asked(&[]), false)]
    fn of_two_routes_neither_hides_the_other(#[case] of_model: Value, #[case] is_fine: bool) {
        let fields = json!({"route": asked(&["m.example.com"])});
        let found = way(fields, json!({"route": of_model}), true);
        assert_eq!(found.is_ok(), is_fine, "{found:?}");
        assert!(found.is_ok() || found.unwrap_err().message.contains("hostnames"));
    }

    #[test]
    fn a_hosted_model_has_no_route() {
        let source = json!({"provider": {"openAI": {"model": "x", "credentialsSecretRef": {"name": "s", "key": "k"}}}});
        let found = way(json!({"route": asked(&[])}), json!({"source": source}), true);
        assert!(found.unwrap_err().message.contains("is hosted"));
    }

    #[test]
    fn users_who_come_by_it_have_a_share_in_the_canary() {
        let mut model = model(json!({}));
        let status = model.status.as_mut().unwrap();
        status.canary = serde_json::from_value(
            json!({"version": CANDIDATE, "step": 1, "weight": 30, "since": "2026-01-01T00:00:00Z"}),
        )
        .unwrap();
        assert_eq!(shares(&model), [(PRIMARY.to_owned(), 70), (CANDIDATE.to_owned(), 30)]);
    }
}
