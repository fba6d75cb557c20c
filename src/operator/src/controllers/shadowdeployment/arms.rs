//! Who is compared, and whether both can answer. Pure.

use api::{
    LlmModel,
    conditions::{self, types},
    llmmodel::{RolloutStrategy, Task, VersionState, VersionStatus},
    reasons,
    shadowdeployment::{Metric, OnPass, ShadowDeploymentSpec},
};
use kube::ResourceExt;

use super::dereference::Observed;
use crate::controllers::{common::trouble::Trouble, llmmodel::ready_pods};

/// What a hosted model has instead of a version.
const HOSTED: &str = "hosted";

/// One of the two that answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// The LlmModel.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Digest of its weights.
    pub weights: Option<String>,
}

/// The two that answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arms {
    /// What serves.
    pub primary: Arm,
    /// What answers in the dark.
    pub candidate: Arm,
}

/// Who is compared as the cluster is now, whether or not they can answer at this moment.
///
/// # Errors
/// Why there are no two.
pub fn arms(spec: &ShadowDeploymentSpec, observed: &Observed) -> Result<Arms, Trouble> {
    let name = &spec.model.name;
    let Some(model) = &observed.model else {
        let message = format!("spec.model: there is no LlmModel {name} in this namespace");
        return Err(Trouble::new(reasons::MODEL_GONE, message));
    };
    let primary = arm(model, "spec.model")?;
    let candidate = match (&spec.candidate.version, &spec.candidate.model) {
        (Some(version), _) => of_version(model, version)?,
        (None, other) => {
            let name = other.clone().unwrap_or_default();
            let Some(other) = &observed.other else {
                let message = format!("spec.candidate.model: there is no LlmModel {name} in this namespace");
                return Err(Trouble::new(reasons::CANDIDATE_GONE, message));
            };
            arm(other, "spec.candidate.model")?
        }
    };
    Ok(Arms { primary, candidate })
}

fn arm(model: &LlmModel, field: &str) -> Result<Arm, Trouble> {
    let name = model.name_any();
    if model.spec.task != Task::Generate {
        let message = format!(
            "{field}: LlmModel {name} has the task {:?}: only answers of Generate can be compared",
            model.spec.task
        );
        return Err(Trouble::new(reasons::INVALID_SPEC, message));
    }
    if model.spec.source.provider.is_some() {
        return Ok(Arm {
            model: name,
            version: HOSTED.into(),
            weights: None,
        });
    }
    let current = model.status.as_ref().and_then(|status| status.current_version.clone());
    let Some(version) = current else {
        let message = format!("{field}: no version of LlmModel {name} has served yet");
        return Err(Trouble::new(reasons::MODEL_NOT_READY, message));
    };
    Ok(Arm {
        model: name,
        weights: known(model, &version).and_then(|known| known.digest.clone()),
        version,
    })
}

fn known<'a>(model: &'a LlmModel, version: &str) -> Option<&'a VersionStatus> {
    model
        .status
        .as_ref()?
        .versions
        .iter()
        .find(|known| known.name == version)
}

fn of_version(model: &LlmModel, version: &str) -> Result<Arm, Trouble> {
    let name = model.name_any();
    let gone = |message: String| Err(Trouble::new(reasons::CANDIDATE_GONE, message));
    let Some(known) = known(model, version) else {
        return gone(format!(
            "spec.candidate.version {version} is not in status.versions of LlmModel {name}: name one of these"
        ));
    };
    if known.state == VersionState::Rejected {
        let why = known.message.clone().unwrap_or_default();
        return gone(format!(
            "spec.candidate.version {version} of LlmModel {name} was rejected: {why}"
        ));
    }
    Ok(Arm {
        model: name,
        version: version.into(),
        weights: known.digest.clone(),
    })
}

/// What keeps both from answering.
///
/// # Errors
/// Why they cannot.
pub fn can_answer(spec: &ShadowDeploymentSpec, observed: &Observed) -> Result<Arms, Trouble> {
    let arms = arms(spec, observed)?;
    if arms.primary == arms.candidate {
        let message = format!(
            "spec.candidate.version {} serves already: compare another one",
            arms.candidate.version
        );
        return Err(Trouble::new(reasons::INVALID_SPEC, message));
    }
    if asks_for_likelihoods(spec) {
        for (model, field) in [
            (&observed.model, "spec.model"),
            (&observed.other, "spec.candidate.model"),
        ] {
            model.as_ref().map_or(Ok(()), |model| tells_likelihoods(model, field))?;
        }
    }
    if let (Some(model), Some(_)) = (&observed.model, &spec.candidate.version) {
        fits(spec, model)?;
        is_ready(model, "spec.model")?;
        if ready_pods(observed.deployment.as_ref()) == 0 {
            let message = format!(
                "spec.candidate.version: no pod of version {} is ready",
                arms.candidate.version
            );
            return Err(Trouble::new(reasons::MODEL_NOT_READY, message));
        }
    } else {
        for (model, field) in [
            (&observed.model, "spec.model"),
            (&observed.other, "spec.candidate.model"),
        ] {
            model.as_ref().map_or(Ok(()), |model| is_ready(model, field))?;
        }
    }
    for (name, helper) in &observed.helpers {
        match helper {
            None => {
                let message = format!("spec.compare: there is no LlmModel {name} in this namespace");
                return Err(Trouble::new(reasons::REFERENCE_NOT_FOUND, message));
            }
            Some(helper) => is_ready(helper, "spec.compare")?,
        }
    }
    Ok(arms)
}

/// Whether each model is to be asked how likely it finds the other's answers.
fn asks_for_likelihoods(spec: &ShadowDeploymentSpec) -> bool {
    let mut asked = std::iter::once(&spec.compare.primary).chain(&spec.compare.guardrails);
    asked.any(|asked| asked.metric == Metric::CrossPerplexity)
}

/// Whether what serves a model can tell how likely it finds an answer that it is given.
fn tells_likelihoods(model: &LlmModel, field: &str) -> Result<(), Trouble> {
    let engine = model.spec.engine.as_ref();
    let served = match engine.and_then(|engine| engine.open_ai_compatible.as_ref()) {
        _ if model.spec.source.provider.is_some() => "by its provider",
        Some(_) => "by engine.openAICompatible",
        None => return Ok(()),
    };
    let message = format!(
        "{field}: LlmModel {} is served {served}, where nobody can ask how likely it finds the other's answer, so metric \
         CrossPerplexity would never be measured: create a ShadowDeployment without it, and compare by RougeL, Embedding or \
         Judge",
        model.name_any()
    );
    Err(Trouble::new(reasons::NOT_SUPPORTED, message))
}

/// Whether a version of the model can wait beside the one that serves, and what follows can be done.
fn fits(spec: &ShadowDeploymentSpec, model: &LlmModel) -> Result<(), Trouble> {
    let strategy = model
        .spec
        .rollout
        .as_ref()
        .map_or_else(RolloutStrategy::default, |it| it.strategy);
    let message = match (strategy, spec.on_pass) {
        (RolloutStrategy::Recreate, _) => {
            "spec.candidate.version: the model has the strategy Recreate, so only one version has pods at a time: choose \
             RollingUpdate or Canary, or compare with another LlmModel"
        }
        (RolloutStrategy::RollingUpdate, OnPass::Canary) => {
            "spec.onPass Canary: the model has no rollout.canary: give it one, or write onPass Promote"
        }
        _ => return Ok(()),
    };
    Err(Trouble::new(reasons::INVALID_SPEC, message))
}

fn is_ready(model: &LlmModel, field: &str) -> Result<(), Trouble> {
    let known = model.status.as_ref().map_or(&[][..], |status| &status.conditions);
    if conditions::is_true(known, types::READY) {
        return Ok(());
    }
    let why = conditions::find(known, types::READY).map_or("it has no status yet", |ready| ready.message.as_str());
    let message = format!("{field}: LlmModel {} is not ready: {why}", model.name_any());
    Err(Trouble::new(reasons::MODEL_NOT_READY, message))
}
