//! What the gateways say of a model whose last replica may stop.

use std::time::Duration;

use api::LlmModel;
use kube::ResourceExt;

use crate::gateways::Gateways;

/// Whether anybody asks a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Requests that gateways hold for it.
    pub held: u64,
    /// How long nobody has asked it; `None` when a gateway does not tell.
    pub idle: Option<Duration>,
}

impl Demand {
    /// Whether it is known that nobody has asked for so many seconds.
    pub fn is_idle_for(&self, seconds: i32) -> bool {
        let wanted = Duration::from_secs(u64::from(seconds.unsigned_abs()));
        self.idle.is_some_and(|idle| idle >= wanted)
    }
}

/// What the gateways say of `model`; they are asked only where it matters.
pub async fn of(gateways: &Gateways, model: &LlmModel) -> Demand {
    let zero = model.spec.autoscaling.as_ref().and_then(|it| it.scale_to_zero.as_ref());
    if zero.is_none() {
        return Demand::default();
    }
    let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
    let held = gateways.held().await.of(&namespace, &name);
    let idle = match gateways.complete_traffic().await {
        Ok(traffic) => traffic.idle_seconds(&namespace, &name).map(Duration::from_secs),
        Err(error) => {
            tracing::debug!(namespace, name, %error, "nobody knows whether a model is asked");
            None
        }
    };
    Demand { held, idle }
}
