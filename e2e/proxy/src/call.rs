//! What a request asks of the API server, read from its method and path.

use http::Method;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// One object is read.
    Get,
    /// Many objects are read.
    List,
    /// Changes are followed.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH, which creates too when it is a server-side apply.
    Patch,
    /// DELETE.
    Delete,
}

/// A request in the terms of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is done.
    pub verb: Verb,
    /// Plural, and the subresource where there is one: `llmmodels/status`.
    pub resource: String,
    /// Name of the object; empty for lists, watches and creations.
    pub name: String,
}

impl Call {
    /// Reads a request; `None` when it is about no resource (`/version`, discovery).
    pub fn parse(method: &Method, path: &str, query: &str) -> Option<Self> {
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let prefix = if parts.first() == Some(&"api") { 2 } else { 3 };
        if !matches!(parts.first(), Some(&"api" | &"apis")) || parts.len() <= prefix {
            return None;
        }
        parts.drain(..prefix);
        if parts.len() > 2 && parts[0] == "namespaces" {
            parts.drain(..2);
        }
        let name = parts.get(1).copied().unwrap_or_default();
        let resource = match parts.get(2) {
            Some(subresource) => format!("{}/{subresource}", parts[0]),
            None => parts[0].to_owned(),
        };
        let watches = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
        let verb = match *method {
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE => Verb::Delete,
            _ if watches => Verb::Watch,
            _ if name.is_empty() => Verb::List,
            _ => Verb::Get,
        };
        Some(Self {
            verb,
            resource,
            name: name.to_owned(),
        })
    }

    /// Whether it changes something that counts. The renewal of a Lease says only that its holder lives.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch) && self.resource != "leases"
    }

    /// Whether it is answered at once with what is stored.
    pub fn is_read(&self) -> bool {
        matches!(self.verb, Verb::Get | Verb::List) && self.resource != "leases"
    }
}

/// `path` with the lists and watches of all namespaces narrowed to one: several operators, each behind
/// its own proxy, then share a cluster without knowing of each other.
pub fn narrowed(path: &str, namespace: &str) -> String {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["api", version, resource] if *resource != "namespaces" => {
            format!("/api/{version}/namespaces/{namespace}/{resource}")
        }
        ["apis", group, version, resource] => {
            format!("/apis/{group}/{version}/namespaces/{namespace}/{resource}")
        }
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood() {
        let parse = |method: &Method, path: &str, query: &str| {
            let call = Call::parse(method, path, query)?;
            Some((call.verb, call.resource, call.name))
        };
        let call = |verb, resource: &str, name: &str| Some((verb, resource.to_owned(), name.to_owned()));
        for (method, path, query, expected) in [
            (
                Method::GET,
                "/api/v1/pods",
                "watch=true&x=1",
                call(Verb::Watch, "pods", ""),
            ),
            (
                Method::GET,
                "/apis/apps/v1/namespaces/n/deployments",
                "labelSelector=a",
                call(Verb::List, "deployments", ""),
            ),
            (
                Method::GET,
                "/api/v1/namespaces/n/services/s",
                "",
                call(Verb::Get, "services", "s"),
            ),
            (
                Method::PATCH,
                "/apis/atelier.dev/v1alpha1/namespaces/n/llmmodels/m/status",
                "force=true",
                call(Verb::Patch, "llmmodels/status", "m"),
            ),
            (
                Method::DELETE,
                "/apis/batch/v1/namespaces/n/jobs/j",
                "",
                call(Verb::Delete, "jobs", "j"),
            ),
            (Method::GET, "/version", "", None),
            (Method::GET, "/apis/apps/v1", "", None),
        ] {
            assert_eq!(parse(&method, path, query), expected, "{path}");
        }
    }

    #[test]
    fn leases_are_no_writes() {
        let lease = Call::parse(&Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "").unwrap();
        assert!(!lease.is_write() && !lease.is_read());
    }

    #[test]
    fn only_what_spans_namespaces_is_narrowed() {
        assert_eq!(narrowed("/api/v1/pods", "n"), "/api/v1/namespaces/n/pods");
        assert_eq!(
            narrowed("/apis/apps/v1/deployments", "n"),
            "/apis/apps/v1/namespaces/n/deployments"
        );
        assert_eq!(
            narrowed("/api/v1/namespaces/other/pods/p", "n"),
            "/api/v1/namespaces/other/pods/p"
        );
        assert_eq!(narrowed("/version", "n"), "/version");
    }
}
