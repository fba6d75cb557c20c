//! HTTPRoutes of Gateway API, as far as we write and read them. The crate `gateway-api` has all of their fields, and
//! 17,000 lines that would be compiled for these.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What a route asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "HTTPRoute",
    root = "HttpRoute",
    plural = "httproutes",
    namespaced,
    status = "HttpRouteStatus",
    schema = "disabled",
    derive = "Default",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    /// Gateways that it is attached to.
    pub parent_refs: Vec<ParentReference>,
    /// Hosts that it is for; none means those of the Gateways' listeners.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// Where requests go.
    pub rules: Vec<Rule>,
}

/// A Gateway, or one listener of it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentReference {
    /// Its name.
    pub name: String,
    /// Its namespace; that of the route by default.
    pub namespace: Option<String>,
    /// The listener; all by default.
    pub section_name: Option<String>,
}

/// Where requests go.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Requests that are meant: those that match any.
    pub matches: Vec<Match>,
    /// What else is done with them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Services and their shares.
    pub backend_refs: Vec<BackendRef>,
    /// How long an answer may take.
    pub timeouts: Option<Timeouts>,
}

impl Rule {
    /// Leads requests to the API of models to these, and nothing else that a server of others may have.
    pub fn of_models(backend_refs: Vec<BackendRef>) -> Self {
        Self {
            matches: vec![Match {
                path: PathMatch {
                    type_: "PathPrefix".into(),
                    value: "/v1".into(),
                },
            }],
            filters: Vec::new(),
            backend_refs,
            // Answers stream for as long as they take, and many Gateways would cut them.
            timeouts: Some(Timeouts { request: "0s".into() }),
        }
    }
}

/// What else is done with requests.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// `RequestMirror`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Copies go there.
    pub request_mirror: Option<RequestMirror>,
}

/// Copies of requests. Nobody gets the answers to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestMirror {
    /// Where they go.
    pub backend_ref: ServiceRef,
    /// How many are copied. Without, all of them would be.
    pub fraction: Fraction,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceRef {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: i32,
}

/// A part of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fraction {
    /// So many.
    pub numerator: i32,
    /// Of so many.
    pub denominator: i32,
}

/// Requests that are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Match {
    /// Their paths.
    pub path: PathMatch,
}

/// Paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathMatch {
    /// How they are compared: `PathPrefix`.
    #[serde(rename = "type")]
    pub type_: String,
    /// With what.
    pub value: String,
}

/// A Service and its share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendRef {
    /// Name of the Service.
    pub name: String,
    /// Its port.
    pub port: i32,
    /// Its share, out of the sum of all.
    pub weight: i32,
}

/// How long an answer may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// From the request to the end of its answer; `0s` is without limit.
    pub request: String,
}

/// What became of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpRouteStatus {
    /// What controllers of Gateways say: one entry for each Gateway and controller.
    pub parents: Vec<ParentStatus>,
}

/// What a controller says of a route at one Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentStatus {
    /// The Gateway, as the route names it.
    pub parent_ref: ParentReference,
    /// `Accepted`, `ResolvedRefs` and others.
    pub conditions: Vec<Condition>,
}
