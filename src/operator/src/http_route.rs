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
    /// Services and their shares.
    pub backend_refs: Vec<BackendRef>,
    /// How long an answer may take.
    pub timeouts: Option<Timeouts>,
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
