//! Fields that later releases fulfil. A silent field would be a lie, so each is refused by name.

use api::{
    LlmModelSpec,
    common::Resources,
    llmmodel::{
        AtelierEngine, Calibration, FileSource, Gate, ModelSource, Monitoring, ObjectStoreSource, Rollout,
        RolloutGates, RolloutStrategy, Task,
    },
};

use super::guardrails;
use crate::controllers::llmmodel::{accelerator::Accelerator, compression::Compression};

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
        prompt,
        resources,
        placement: _,
        replicas: _,
        autoscaling: _,
        rollout,
        version: _,
        guardrails: _,
        limits,
        fallback: _,
        monitoring,
        route: _,
        pod_overrides: _,
    } = spec;
    let mut found = Found::default();
    let compresses = compress.as_ref().and_then(Compression::new).is_some();
    if *task != Task::Generate {
        found.check(&format!("spec.compress with spec.task {task:?}"), compresses);
        found.check(&format!("spec.prompt with spec.task {task:?}"), prompt.is_some());
        let gates = rollout.as_ref().and_then(|rollout| rollout.gates.as_ref());
        found.check(
            &format!("spec.rollout.gates.evaluation with spec.task {task:?}"),
            gates.is_some_and(|gates| gates.evaluation.is_some()),
        );
        found.check(
            &format!("spec.rollout.gates.shadow with spec.task {task:?}"),
            gates.is_some_and(|gates| gates.shadow.is_some()),
        );
    }
    found.source("spec.source", source);
    found.check(
        &format!("spec.source.fineTuneJob with spec.task {task:?} (trainings yield models that generate text)"),
        source.fine_tune_job.is_some() && *task != Task::Generate,
    );
    found.check("spec.base", base.is_some());
    found.check(
        &format!("spec.adapters with spec.task {task:?}"),
        !adapters.is_empty() && *task != Task::Generate,
    );
    for adapter in adapters {
        let field = format!("spec.adapters[{}].source", adapter.name);
        found.check(
            &format!(
                "{field}.http (an adapter is two files: use huggingFace, objectStore, oci or persistentVolumeClaim)"
            ),
            adapter.source.http.is_some(),
        );
        found.check(
            &format!("{field}.oci.path with type Artifact (an adapter's files are at the root of its artifact)"),
            adapter
                .source
                .oci
                .as_ref()
                .is_some_and(|oci| oci.is_artifact() && oci.path.is_some()),
        );
        found.source(&field, &adapter.source);
    }
    if let Some(text) = compress
        .as_ref()
        .filter(|_| compresses)
        .and_then(|it| it.calibration.as_ref())
    {
        found.calibration(text);
    }
    if let Some(engine) = engine.as_ref().and_then(|engine| engine.atelier.as_ref()) {
        found.engine(engine);
        let asks = engine.prefix_cache.as_ref().is_some_and(|cache| cache.enabled);
        found.check(
            &format!("spec.engine.atelier.prefixCache with spec.task {task:?}"),
            asks && *task != Task::Generate,
        );
    }
    match engine.as_ref().and_then(|engine| engine.open_ai_compatible.as_ref()) {
        Some(_) => found.with_other_engine(spec),
        None => found.with_own_engine(resources.as_ref(), *task),
    }
    if let Some(rollout) = rollout {
        found.rollout(rollout);
    }
    found.0.extend(guardrails::unsupported(spec));
    found.check(
        &format!("spec.limits.maxTokens with spec.task {task:?}"),
        *task != Task::Generate && limits.as_ref().is_some_and(|limits| limits.max_tokens.is_some()),
    );
    if let Some(monitoring) = monitoring {
        let strategy = rollout.as_ref().map(|rollout| rollout.strategy);
        found.monitoring(monitoring, strategy.unwrap_or_default());
    }
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

    /// What only our own engine does.
    fn with_other_engine(&mut self, spec: &LlmModelSpec) {
        let mut check = |field: &str, present: bool| {
            self.check(&format!("{field} with spec.engine.openAICompatible"), present);
        };
        let prompt = spec.prompt.as_ref();
        check("spec.adapters", !spec.adapters.is_empty());
        check("spec.prompt.system", prompt.is_some_and(|it| it.system.is_some()));
        check(
            "spec.prompt.templateOverride",
            prompt.is_some_and(|it| it.template_override.is_some()),
        );
        let gates = spec.rollout.as_ref().and_then(|rollout| rollout.gates.as_ref());
        check(
            "spec.rollout.gates.evaluation",
            gates.is_some_and(|gates| gates.evaluation.is_some()),
        );
        let placement = spec.placement.as_ref();
        // Nobody would hold the lock on what they use.
        check(
            "spec.placement.nodeCache",
            placement.is_some_and(|it| it.node_cache == Some(true)),
        );
    }

    /// What our own engine cannot compute on: it takes one device of NVIDIA's, for text.
    fn with_own_engine(&mut self, resources: Option<&Resources>, task: Task) {
        let Some(resources) = resources else { return };
        self.check(
            "spec.resources.tensorParallel above 1 without spec.engine.openAICompatible",
            resources.tensor_parallel.is_some_and(|count| count > 1),
        );
        let Some(asked) = resources.accelerator.as_ref().and_then(Accelerator::new) else {
            return;
        };
        self.check(
            &format!(
                "spec.resources.accelerator {} without spec.engine.openAICompatible",
                asked.name()
            ),
            !asked.is_nvidia(),
        );
        self.check(
            "spec.resources.accelerator.count above 1 without spec.engine.openAICompatible",
            asked.count > 1,
        );
        self.check(
            &format!("spec.resources.accelerator with spec.task {task:?}"),
            task != Task::Generate,
        );
    }

    fn source(&mut self, field: &str, source: &ModelSource) {
        let ModelSource {
            oci: _,
            hugging_face: _,
            http: _,
            object_store,
            persistent_volume_claim: _,
            fine_tune_job: _,
            provider,
        } = source;
        let is_file = |store: &ObjectStoreSource| store.uri.starts_with("file:");
        self.check(
            &format!(
                "{field}.objectStore.uri with file:// (pods have no files of their own: put them on a volume and use \
                 {field}.persistentVolumeClaim)"
            ),
            object_store.as_ref().is_some_and(is_file),
        );
        self.check(&format!("{field}.provider"), provider.is_some());
    }

    fn calibration(&mut self, calibration: &Calibration) {
        self.file("spec.compress.calibration.source", &calibration.source);
    }

    /// A file that is mounted, and read as it is.
    fn file(&mut self, field: &str, source: &FileSource) {
        let FileSource {
            oci,
            hugging_face,
            http,
            object_store,
            persistent_volume_claim,
        } = source;
        let mut check = |what: &str, present: bool| self.check(&format!("{field}.{what}"), present);
        check("huggingFace", hugging_face.is_some());
        check("http", http.is_some());
        check("objectStore", object_store.is_some());
        if let Some(oci) = oci {
            check("oci.type Artifact", oci.is_artifact());
            check("oci without path", oci.path.is_none());
            check("oci.sha256", oci.sha256.is_some());
            check("oci.pullSecrets", !oci.pull_secrets.is_empty());
        }
        if let Some(claim) = persistent_volume_claim {
            check("persistentVolumeClaim without path", claim.path.is_none());
            check("persistentVolumeClaim.sha256", claim.sha256.is_some());
        }
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
            "spec.engine.atelier.prefixCache.maxMemory",
            prefix_cache.as_ref().is_some_and(|cache| cache.max_memory.is_some()),
        );
        self.check(
            "spec.engine.atelier.chunkedPrefill false",
            *chunked_prefill == Some(false),
        );
        self.check("spec.engine.atelier.speculative", speculative.is_some());
    }

    fn monitoring(&mut self, monitoring: &Monitoring, strategy: RolloutStrategy) {
        let Monitoring { slo, drift, feedback } = monitoring;
        self.check(
            "spec.monitoring.slo without spec.rollout.strategy Canary",
            slo.is_some() && strategy != RolloutStrategy::Canary,
        );
        self.check("spec.monitoring.drift", drift.is_some());
        self.check("spec.monitoring.feedback", feedback.is_some());
    }

    fn rollout(&mut self, rollout: &Rollout) {
        let Rollout {
            strategy,
            canary,
            gates,
            history_limit: _,
        } = rollout;
        let mut steps = canary.iter().flat_map(|canary| &canary.steps);
        let waits_for_shadow = steps.any(|step| step.gate == Some(Gate::Shadow));
        self.check("spec.rollout.canary.steps[].gate Shadow", waits_for_shadow);
        let Some(RolloutGates { evaluation, shadow }) = gates else {
            return;
        };
        self.check(
            "spec.rollout.gates.shadow with spec.rollout.strategy Recreate (only one version has pods at a time)",
            shadow.is_some() && *strategy == RolloutStrategy::Recreate,
        );
        for suite in evaluation.iter().flat_map(|evaluation| &evaluation.suites) {
            if let Some(source) = &suite.source {
                let field = format!("spec.rollout.gates.evaluation.suites[{}].source", suite.name);
                self.file(&field, source);
            }
        }
    }
}
