//! Fields that later releases fulfil. A silent field would be a lie, so each is refused by name.

use api::{
    LlmModelSpec,
    llmmodel::{AtelierEngine, Compress, ModelSource, Quantization, Rollout, RolloutStrategy, Task},
};

/// The fields of a spec that this release does not fulfil.
pub fn fields(spec: &LlmModelSpec) -> Vec<String> {
    // Without `..`: a new field must be decided upon here.
    let LlmModelSpec {
        task,
        source,
        base,
        adapters,
        compress,
        engine,
        prompt: _,
        resources,
        placement: _,
        replicas: _,
        autoscaling,
        rollout,
        version: _,
        guardrails,
        limits,
        fallback,
        monitoring,
        pod_overrides: _,
    } = spec;
    let mut found = Found::default();
    if *task != Task::Generate {
        found.0.push(format!("spec.task {task:?}"));
    }
    found.source(source);
    found.check("spec.base", base.is_some());
    found.check("spec.adapters", !adapters.is_empty());
    found.check("spec.compress", compress.as_ref().is_some_and(changes_weights));
    if let Some(engine) = engine {
        found.check("spec.engine.openAICompatible", engine.open_ai_compatible.is_some());
        if let Some(engine) = &engine.atelier {
            found.engine(engine);
        }
    }
    if let Some(resources) = resources {
        found.check("spec.resources.accelerator", resources.accelerator.is_some());
        found.check(
            "spec.resources.tensorParallel",
            resources.tensor_parallel.is_some_and(|count| count > 1),
        );
    }
    found.check("spec.autoscaling", autoscaling.is_some());
    if let Some(rollout) = rollout {
        found.rollout(rollout);
    }
    found.check("spec.guardrails", guardrails.is_some());
    found.check("spec.limits", limits.is_some());
    found.check("spec.fallback", !fallback.is_empty());
    found.check("spec.monitoring", monitoring.is_some());
    found.0
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn check(&mut self, field: &str, present: bool) {
        if present {
            self.0.push(field.into());
        }
    }

    fn source(&mut self, source: &ModelSource) {
        let ModelSource {
            oci: _,
            hugging_face,
            http: _,
            object_store,
            persistent_volume_claim: _,
            fine_tune_job,
            provider,
        } = source;
        self.check("spec.source.huggingFace", hugging_face.is_some());
        self.check("spec.source.objectStore", object_store.is_some());
        self.check("spec.source.fineTuneJob", fine_tune_job.is_some());
        self.check("spec.source.provider", provider.is_some());
    }

    fn engine(&mut self, engine: &AtelierEngine) {
        let AtelierEngine {
            context_length: _,
            max_batch_tokens: _,
            max_concurrent_sequences: _,
            max_queue: _,
            prefix_cache,
            chunked_prefill,
            speculative,
        } = engine;
        self.check(
            "spec.engine.atelier.prefixCache",
            prefix_cache.as_ref().is_some_and(|cache| cache.enabled),
        );
        self.check(
            "spec.engine.atelier.chunkedPrefill false",
            *chunked_prefill == Some(false),
        );
        self.check("spec.engine.atelier.speculative", speculative.is_some());
    }

    fn rollout(&mut self, rollout: &Rollout) {
        let Rollout {
            strategy,
            canary: _,
            gates,
            history_limit: _,
        } = rollout;
        if *strategy != RolloutStrategy::RollingUpdate {
            self.0.push(format!("spec.rollout.strategy {strategy:?}"));
        }
        let gated = gates
            .as_ref()
            .is_some_and(|gates| gates.evaluation.is_some() || gates.shadow.is_some());
        self.check("spec.rollout.gates", gated);
    }
}

fn changes_weights(compress: &Compress) -> bool {
    compress.quantization != Quantization::None || compress.pruning.is_some()
}
