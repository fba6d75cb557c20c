//! What a run over the sources is told.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use protocol::{
    ingest::{Embedding, GatewayAccess, IngestPlan, IngestSource, Limits},
    paths::{GATEWAY_TOKEN_DIR, GATEWAY_TOKEN_FILE, INGEST_DIR},
    tune::PLAN_VARIABLE,
};

use super::{Builder, Run};

/// Generations that stay beside the newest one.
const KEEP: u32 = 2;

/// The plan.
pub fn plan(builder: &Builder<'_>, run: Run<'_>, sources: Vec<IngestSource>) -> IngestPlan {
    let Builder { owner, wanted, .. } = *builder;
    IngestPlan {
        namespace: owner.namespace.clone(),
        room: owner.name.clone(),
        gateway: gateway(builder),
        embedding: Embedding {
            model: run.embedder.model.clone(),
            digest: run.embedder.digest.clone(),
        },
        sources,
        cleaning: wanted.cleaning.clone(),
        chunks: wanted.chunks,
        keep: KEEP,
        red_team: wanted.red_team.as_ref().map(|_| owner.uid.clone()),
        scratch: INGEST_DIR.into(),
        limits: Limits::default(),
    }
}

/// How pods reach the gateway.
pub(super) fn gateway(builder: &Builder<'_>) -> GatewayAccess {
    GatewayAccess {
        url: builder.settings.gateway_url.clone(),
        ca: builder.ca.map(str::to_owned),
        token_file: format!("{GATEWAY_TOKEN_DIR}/{GATEWAY_TOKEN_FILE}").into(),
    }
}

/// The sources that a Job was made to read, by its plan.
pub fn reads(job: &Job) -> BTreeSet<String> {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let env = pod.and_then(|pod| pod.containers.first()?.env.as_ref());
    let variable = env.and_then(|env| env.iter().find(|variable| variable.name == PLAN_VARIABLE));
    let text = variable
        .and_then(|variable| variable.value.as_deref())
        .unwrap_or_default();
    // As the kubelet reads it.
    let plan = serde_json::from_str::<IngestPlan>(&text.replace("$$", "$"));
    let sources = plan.map(|plan| plan.sources).unwrap_or_default();
    sources
        .into_iter()
        .filter(|source| source.read)
        .map(|source| source.name)
        .collect()
}
