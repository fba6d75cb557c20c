//! The HTTPRoutes of an object. No watch follows them, for a cluster may have no Gateway API, now or later.

use std::collections::BTreeMap;

use api::{names, reasons};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::{
    cluster::{Cluster, ClusterError},
    controllers::common::{apply::ApplyError, ownership::owned, trouble::Trouble},
    http_route::HttpRoute,
};

/// The HTTPRoutes of an object.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// They: one at most.
    pub found: Vec<HttpRoute>,
    /// Why there is none, or not the one that is wanted.
    pub trouble: Option<Trouble>,
}

impl Routes {
    /// Those that `owner` has by these labels.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn find(
        cluster: &Cluster,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        owner: &OwnerReference,
    ) -> Result<Self, ClusterError> {
        match cluster
            .list::<HttpRoute>(namespace, &names::selector_string(labels))
            .await
        {
            Ok(found) => Ok(Self {
                found: owned(found, owner),
                trouble: None,
            }),
            Err(error) if error.status() == Some(404) => {
                let message = "spec.route.gatewayApi: this cluster has no Gateway API; install its CRD \
                               httproutes.gateway.networking.k8s.io with version v1, or remove spec.route";
                Ok(Self {
                    found: Vec::new(),
                    trouble: Some(Trouble::new(reasons::GATEWAY_API_MISSING, message)),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Notes what came of writing the route. That it is refused keeps nothing else from being done.
    ///
    /// # Errors
    /// What is no refusal.
    pub fn written(&mut self, outcome: Result<(), ApplyError>) -> Result<(), ApplyError> {
        let (reason, why) = match outcome {
            Err(error @ ApplyError::NameConflict { .. }) => (reasons::NAME_CONFLICT, error.to_string()),
            // 500 is the answer to fields that an old CRD does not have.
            Err(ApplyError::Cluster(error))
                if (error.is_refusal() || error.status() == Some(500)) && !error.is_namespace_leaving() =>
            {
                (reasons::API_ERROR, error.to_string())
            }
            other => return other,
        };
        self.trouble = Some(Trouble::new(reason, format!("spec.route: {why}")));
        Ok(())
    }
}
