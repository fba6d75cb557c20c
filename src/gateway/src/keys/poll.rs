//! Reads the Secrets of API keys again and again. A watch would hear of a deletion sooner, but not that it has become
//! deaf; like this a key is revoked within [`EVERY`] and the time of one read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::ListParams};
use tokio::time::{sleep, timeout};

use super::{Faults, Keys, SECRET_TYPE};

/// Between two reads.
const EVERY: Duration = Duration::from_secs(3);
/// Longest read.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps `keys` as the Secrets of `namespace` are, for ever.
pub async fn poll(client: Client, namespace: String, keys: Arc<Keys>) {
    let secrets = Api::<Secret>::namespaced(client, &namespace);
    let ours = ListParams::default().fields(&format!("type={SECRET_TYPE}"));
    let mut faults = Faults::new();
    let mut is_down = false;
    loop {
        let asked = Instant::now();
        match timeout(PATIENCE, secrets.list(&ours)).await {
            Ok(Ok(list)) => {
                let found = keys.replace(&list.items, asked);
                for (secret, fault) in found
                    .iter()
                    .filter(|(secret, fault)| faults.get(*secret) != Some(*fault))
                {
                    tracing::warn!(namespace, secret, fault, "a Secret holds no API key");
                }
                faults = found;
                is_down = false;
            }
            outcome if !is_down => {
                let error = match outcome {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no answer within {} s", PATIENCE.as_secs()),
                };
                tracing::warn!(namespace, error, "failed to read the API keys; trying again");
                is_down = true;
            }
            _ => {}
        }
        sleep(EVERY).await;
    }
}
