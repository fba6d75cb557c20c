//! Beside the live path: which requests are copied. Nothing here waits for anything.

use std::sync::Arc;

use axum::http::HeaderMap;
use bytes::Bytes;

use super::{Service, drops::Drop, experiment::Experiment, outline::outline, pair::Job, spec::Words, tap::Tap};
use crate::{catalog::Model, headers, identity::Identity, metrics::Operation, name::ModelName};

/// The largest request that is copied, in bytes.
const LONGEST: usize = 1 << 20;
/// What a caller says who wants no copies.
const OFF: &[u8] = b"off";

/// A live request that was admitted, and is about to be sent.
pub struct Live<'a> {
    /// The model that is asked.
    pub model: &'a Arc<Model>,
    /// The model, as the caller named it.
    pub name: &'a ModelName,
    /// What for.
    pub operation: Operation,
    /// By whom.
    pub caller: &'a Identity,
    /// The caller's headers.
    pub headers: &'a HeaderMap,
    /// The body, as the model gets it.
    pub body: &'a Bytes,
}

impl Service {
    /// Hands copies of a request over, where it is chosen, and gives what is to hear the live answer.
    pub fn mirror(&self, live: &Live<'_>) -> Option<Tap> {
        if !matches!(live.operation, Operation::Chat | Operation::TextCompletion) {
            return None;
        }
        let experiments = self.catalog.of(&live.model.namespace, &live.model.name)?;
        // Whoever insists on a version or an adapter does not ask what is compared.
        if live.name.version.is_some() || live.name.adapter.is_some() || !self.alive.holds() {
            return None;
        }
        let mut chosen = Vec::new();
        let mut short = None;
        for experiment in experiments.iter().filter(|experiment| experiment.chooses_any()) {
            let short = short.get_or_insert_with(|| outline(live.body));
            let id = live.headers.get(headers::REQUEST_ID).and_then(|id| id.to_str().ok());
            let cluster = experiment.choose(live.caller.user(), live.headers, id.unwrap_or_default(), short);
            chosen.extend(cluster.map(|cluster| (experiment, cluster)));
        }
        if chosen.is_empty() {
            return None;
        }
        let is_off = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(OFF);
        if live
            .headers
            .get_all(headers::SHADOW)
            .iter()
            .any(|value| is_off(value.as_bytes()))
        {
            for (experiment, _) in chosen {
                let key = &experiment.key;
                experiment.shown().opted_out(&key.namespace, &key.name);
            }
            return None;
        }
        let mut tap = Tap::new(self.memory.clone());
        for (experiment, cluster) in chosen {
            if let Err(why) = self.hand_over(live, experiment, cluster, &mut tap) {
                experiment.dropped(why, false);
            }
        }
        (!tap.is_empty()).then_some(tap)
    }

    fn hand_over(&self, live: &Live<'_>, experiment: &Experiment, cluster: String, tap: &mut Tap) -> Result<(), Drop> {
        if self.is_paused() {
            return Err(Drop::Database);
        }
        if live.body.len() > LONGEST {
            return Err(Drop::Size);
        }
        if !experiment.has_rate() {
            return Err(Drop::Rate);
        }
        let mut share = self.memory.share();
        if !share.grow(live.body.len()) {
            return Err(Drop::Memory);
        }
        let version = experiment
            .primary_version()
            .or_else(|| live.model.current_version.clone());
        experiment.push(Job {
            model: live.model.clone(),
            version,
            operation: live.operation,
            // The bytes are shared; their place among all bodies is the live request's, and goes with it.
            body: live.body.clone(),
            // Nobody needs to know otherwise.
            asker: matches!(experiment.words(), Words::Kept { .. }).then(|| live.caller.user().to_owned()),
            cluster,
            heard: tap.add(),
            has_baseline: experiment.wants_baseline(),
            share,
        })
    }
}
