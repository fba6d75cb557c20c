//! What the steps of a training are told.

use std::path::{Path, PathBuf};

use api::{
    finetunejob::{Method, Objective},
    names,
};
use protocol::{
    paths::{MODEL_DIR, SUITES_DIR, TUNE_DIR},
    ports::TRAIN_RING,
    tune::{
        self, Contaminant, DataPlan, DataSource, Members, TrainPlan, checkpoints_dir, data_dir, output_dir, outputs_dir,
    },
};

use super::{Builder, Start};
use crate::controllers::{
    finetunejob::validate::{architecture, number::natural},
    llmmodel::{source::Source, version::Version},
};

/// What the Job is told that reads and cleans the data.
pub fn data(builder: &Builder<'_>, sources: Vec<DataSource>) -> DataPlan {
    let wanted = builder.wanted;
    DataPlan {
        sources,
        format: wanted.format,
        stages: wanted.stages.clone(),
        split: wanted.split.clone(),
        decontaminate: wanted.suites.iter().filter_map(contaminant).collect(),
        to: data_dir(Path::new(TUNE_DIR), &builder.owner.name),
        scratch: None,
        max_record_bytes: None,
    }
}

/// What the Job is told that trains.
pub fn train(builder: &Builder<'_>, start: Start<'_>) -> TrainPlan {
    let Builder { owner, wanted, .. } = *builder;
    let (spec, volume) = (&wanted.spec, Path::new(TUNE_DIR));
    let evaluate = spec.evaluate.as_ref();
    let data_of = if owner.is_trial() { owner.root() } else { &owner.name };
    TrainPlan {
        run: owner.name.clone(),
        model: model(start.base),
        digest: Some(start.base.report.digest.clone()),
        base_name: base_name(builder).into(),
        method: match spec.method {
            Method::Full => tune::Method::Full,
            Method::LoRA => tune::Method::LoRA,
            Method::QLoRA => tune::Method::QLoRA,
            Method::Adapter => tune::Method::Adapter,
            // Validation refuses Prompt.
            Method::Prefix | Method::Prompt => tune::Method::Prefix,
            Method::Pretrain => tune::Method::Pretrain,
        },
        objective: match spec.objective {
            Objective::SFT => tune::Objective::SFT,
            // Validation refuses KTO.
            Objective::DPO | Objective::KTO => tune::Objective::DPO,
            Objective::CausalLM => tune::Objective::CausalLM,
        },
        architecture: spec.architecture.as_ref().map(architecture),
        dataset: data_dir(volume, data_of),
        template: spec.dataset.template.clone(),
        hyperparameters: wanted.hyperparameters.clone(),
        checkpoint: wanted.checkpoint,
        evaluate_every: evaluate.and_then(|it| it.every_steps).map(natural),
        early_stopping: wanted.early_stopping,
        gate: wanted.gate.clone().map(|gate| tune::Gate {
            current: start
                .current
                .filter(|_| gate.against == tune::GateReference::Current)
                .map(|digest| output_dir(volume, digest)),
            ..gate
        }),
        suites: wanted.suites.iter().map(suite).collect(),
        suite_limits: wanted.limits.clone(),
        // What a state depends on is in its place: none is taken up by a training that it does not fit.
        checkpoints: checkpoints_dir(volume, &owner.name).join(&wanted.state),
        outputs: outputs_dir(volume),
        members: (wanted.members > 1).then(|| members(builder)),
        keep_before: start.kept.map(<[String]>::to_vec),
    }
}

/// Name of the base, or of the model whose tokenizer is used.
fn base_name<'a>(builder: &'a Builder<'_>) -> &'a str {
    let spec = &builder.wanted.spec;
    let tokenizer = spec.architecture.as_ref().map(|shape| &shape.tokenizer);
    let model = spec.base.as_ref().or(tokenizer);
    model.map_or("", |model| &model.name)
}

fn model(base: &Version) -> PathBuf {
    match base.file() {
        "." => MODEL_DIR.into(),
        file => Path::new(MODEL_DIR).join(file),
    }
}

/// Pods find each other by names of their Service.
fn members(builder: &Builder<'_>) -> Members {
    let job = names::train_job(&builder.owner.name);
    let address = |number| format!("{job}-{number}.{job}:{TRAIN_RING}");
    Members {
        addresses: (0..builder.wanted.members).map(address).collect(),
    }
}

fn suite(suite: &(String, Option<Source>)) -> String {
    let (name, _) = suite;
    suite_file(suite).map_or_else(|| name.clone(), |file| format!("{name}={file}"))
}

/// Texts of a suite must not be learned from.
fn contaminant(suite: &(String, Option<Source>)) -> Option<Contaminant> {
    Some(Contaminant {
        path: suite_file(suite)?.into(),
        identity: match suite.1.as_ref()? {
            Source::Oci(oci) => oci.image.clone(),
            Source::PersistentVolumeClaim(claim) => claim.claim_name.clone(),
            // Validation refuses these.
            Source::Http(_) | Source::HuggingFace(_) | Source::ObjectStore(_) => String::new(),
        },
    })
}

/// Where the questions of a suite are mounted.
fn suite_file((name, source): &(String, Option<Source>)) -> Option<String> {
    let path = source.as_ref()?.path().unwrap_or_default();
    Some(format!("{SUITES_DIR}/{name}/{path}"))
}
