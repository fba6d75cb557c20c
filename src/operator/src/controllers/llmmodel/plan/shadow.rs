//! What ShadowDeployments say of versions: which ones keep their pods, which one waits, and which one is rejected.
//!
//! Nothing is decided here about answers. A version waits for the verdict of every ShadowDeployment that names it with
//! `onPass` other than None, the one that `rollout.gates.shadow` makes among them, and goes on when all say Promote. What is
//! missing never rejects it, and a person's word goes before all of them.

use api::{
    ShadowDeployment,
    llmmodel::RolloutStrategy,
    names, reasons,
    shadowdeployment::{Candidate, OnFail, OnPass, ShadowDeploymentSpec, Verdict},
};
use kube::{ResourceExt, api::ObjectMeta};

use super::{Course, Plan, Target};
use crate::controllers::{
    llmmodel::{build::Builder, canonical, dereference::Observed, trouble::Trouble, version::Version},
    shadowdeployment::{holds, is_paused, rejects},
};

/// What comparisons say of the version that the spec asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// Nothing is asked of it, or all is well.
    GoesOn,
    /// All is well, and it takes over without a canary.
    TakesOver,
    /// It waits, or was rejected.
    Held(Course),
}

/// What comparisons say of `version`, which is on its way to replace `current`; plans the one that the gate asks for.
pub fn word(builder: &Builder<'_>, observed: &Observed, target: &Target, is_begun: bool, plan: &mut Plan) -> Word {
    let Some(version) = target.version().map(|version| version.name.as_str()) else {
        return Word::GoesOn;
    };
    if is_promoted(builder, version) {
        return Word::GoesOn;
    }
    let gate = builder.wanted.shadow.as_deref();
    let own = gate.map(|_| gate_name(builder, version));
    let about: Vec<_> = live(observed, version).collect();
    let rejected = about
        .iter()
        .find(|it| rejects(&it.spec) && verdict(it) == Some(Verdict::Reject));
    if let Some(rejected) = rejected {
        return Word::Held(Course::Stopped(rejection(rejected, version)));
    }
    // With Recreate there is no room for it to wait in; and who has traffic already does not wait for any.
    if is_begun || builder.wanted.strategy == RolloutStrategy::Recreate {
        return Word::GoesOn;
    }
    if let (Some(template), Some(own)) = (gate, &own)
        && !about.iter().any(|it| it.name_any() == *own)
    {
        return Word::Held(make(builder, observed, version, template, own, plan));
    }
    let holding: Vec<_> = about.into_iter().filter(|it| holds(&it.spec)).collect();
    for shadow in &holding {
        let name = shadow.name_any();
        match verdict(shadow) {
            Some(Verdict::Promote) => {}
            None => {
                let said = shadow
                    .status
                    .as_ref()
                    .and_then(|status| api::conditions::find(&status.conditions, api::conditions::types::READY));
                let said = said.map_or("it begins", |ready| ready.message.as_str());
                let text = format!("the verdict of ShadowDeployment {name}: {said}");
                return Word::Held(Course::Shadowing(text, None));
            }
            Some(verdict) => {
                let status = shadow.status.as_ref();
                let why = status.and_then(|status| status.reason.as_deref()).unwrap_or_default();
                let message = format!(
                    "ShadowDeployment {name} has the verdict {verdict:?} ({why}): version {version} waits until somebody \
                     sets the annotation {}: {version}/shadow, or changes the spec",
                    names::ANNOTATION_PROMOTE
                );
                let trouble = Trouble::new(reasons::SHADOW_INCONCLUSIVE, message.clone());
                return Word::Held(Course::Shadowing(message, Some(trouble)));
            }
        }
    }
    match !holding.is_empty() && holding.iter().all(|it| it.spec.on_pass == OnPass::Promote) {
        true => Word::TakesOver,
        false => Word::GoesOn,
    }
}

/// Versions of the history that people have compared and that have to answer meanwhile, beside those that are `live`
/// anyway. What a gate compares lives as long as it is wanted.
pub fn compared(builder: &Builder<'_>, observed: &Observed, live: &[Version]) -> Vec<Version> {
    if builder.wanted.strategy == RolloutStrategy::Recreate {
        return Vec::new();
    }
    let mut names: Vec<&str> = observed
        .comparisons
        .found
        .iter()
        .filter(|it| is_live(it) && verdict(it).is_none() && !is_ours(builder, it))
        .filter_map(|it| it.spec.candidate.version.as_deref())
        .filter(|name| live.iter().all(|version| version.name != **name))
        .collect();
    names.sort_unstable();
    names.dedup();
    let versions = names.into_iter().filter_map(|name| observed.version(name));
    versions.filter(|version| version.trouble().is_none()).collect()
}

/// Comparisons that a gate made and nobody needs: of versions that are in the history no more, and without a verdict of
/// one that is on its way no more.
pub fn forgotten<'a>(
    builder: &'a Builder<'_>,
    observed: &'a Observed,
    target: &'a Target,
) -> impl Iterator<Item = &'a ShadowDeployment> {
    let wanted = target.candidate().map(|version| version.name.as_str());
    let is_known = !matches!(target, Target::Preparing(_));
    observed.comparisons.found.iter().filter(move |it| {
        let version = it.spec.candidate.version.as_deref();
        let is_over = match verdict(it) {
            Some(_) => version.is_none_or(|version| observed.version(version).is_none()),
            None => version != wanted || builder.wanted.pin.is_some(),
        };
        is_ours(builder, it) && is_known && is_over
    })
}

fn is_ours(builder: &Builder<'_>, shadow: &ShadowDeployment) -> bool {
    let mut owners = shadow.owner_references().iter();
    owners.any(|owner| owner.uid == builder.owner.uid)
}

/// Comparisons of a version that are meant to say something.
fn live<'a>(observed: &'a Observed, version: &str) -> impl Iterator<Item = &'a ShadowDeployment> {
    let found = observed.comparisons.found.iter();
    found.filter(move |it| it.spec.candidate.version.as_deref() == Some(version) && is_live(it))
}

fn is_live(shadow: &ShadowDeployment) -> bool {
    shadow.metadata.deletion_timestamp.is_none() && !is_paused(shadow)
}

fn verdict(shadow: &ShadowDeployment) -> Option<Verdict> {
    shadow.status.as_ref()?.verdict
}

/// Whether a person lets a version go on, whatever comparisons say: a step of its canary is a later word.
fn is_promoted(builder: &Builder<'_>, version: &str) -> bool {
    let word = builder.owner.promoted.as_ref().and_then(|word| word.split_once('/'));
    word.is_some_and(|(of, up_to)| of == version && (up_to == "shadow" || up_to.parse::<u32>().is_ok()))
}

fn rejection(shadow: &ShadowDeployment, version: &str) -> Trouble {
    let status = shadow.status.as_ref();
    let complete = status
        .and_then(|status| api::conditions::find(&status.conditions, api::conditions::types::COMPLETE))
        .map_or("", |complete| complete.message.as_str());
    let report = status.and_then(|status| status.report.as_deref()).unwrap_or_default();
    let message = format!(
        "ShadowDeployment {} rejected version {version}: {complete} (ConfigMap {report}). It is not tried again: change the \
         spec, or name the version in spec.version to serve it all the same",
        shadow.name_any()
    );
    Trouble::new(reasons::SHADOW_REJECTED, message)
}

fn gate_name(builder: &Builder<'_>, version: &str) -> String {
    let model = &builder.owner.name;
    names::gate_shadow(model, version, &canonical::digest(model, 10))
}

/// Plans the comparison that the gate asks for; what the version waits for.
fn make(
    builder: &Builder<'_>,
    observed: &Observed,
    version: &str,
    template: &str,
    name: &str,
    plan: &mut Plan,
) -> Course {
    let Some(template) = &observed.comparisons.template else {
        let message = format!(
            "spec.rollout.gates.shadow.template: there is no ShadowDeployment {template} in this namespace; version \
             {version} waits for it"
        );
        let trouble = Trouble::new(reasons::REFERENCE_NOT_FOUND, message.clone());
        return Course::Shadowing(message, Some(trouble));
    };
    let on_pass = match builder.wanted.strategy {
        RolloutStrategy::Canary => OnPass::Canary,
        RolloutStrategy::RollingUpdate | RolloutStrategy::Recreate => OnPass::Promote,
    };
    let labels = [
        (names::LABEL_MANAGED_BY, names::MANAGED_BY),
        (names::LABEL_NAME, names::NAME_SHADOWDEPLOYMENT),
        (names::LABEL_MODEL, &builder.owner.name),
        (names::LABEL_VERSION, version),
    ];
    let spec = ShadowDeploymentSpec {
        model: api::common::ModelRef {
            name: builder.owner.name.clone(),
        },
        candidate: Candidate {
            version: Some(version.into()),
            model: None,
        },
        on_pass,
        on_fail: OnFail::Reject,
        route: None,
        ..template.spec.clone()
    };
    plan.comparison = Some(ShadowDeployment {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some(builder.owner.namespace.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            owner_references: Some(vec![builder.owner.reference.clone()]),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    });
    Course::Shadowing(format!("ShadowDeployment {name} to be made"), None)
}
