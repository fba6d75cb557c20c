//! One pass over one LlmModel, as a table of contents.

use std::time::Duration;

use api::LlmModel;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{api::ObjectMeta, runtime::controller::Action};

use super::{
    Context, adapters, apply,
    build::{self, Builder},
    demand,
    dereference::{self, Observed},
    diagnose::{self, Asked},
    follow, hosted,
    plan::{self, Course, Plan, Target},
    recollection::After,
    route,
    status::{self, Facts},
    trouble::Trouble,
    validate::{self, Owner, Wanted},
};
use crate::controllers::common::{
    apply::ApplyError,
    dereference::{DereferenceError, read},
    reconcile::{BEHIND, LOOK_AGAIN, PROGRESS, ReconcileError, SETTLED, WAITING, is_behind, settled},
};

/// Brings one LlmModel closer to what its spec asks for; `seen` is what its watch knows of it.
pub async fn reconcile(
    context: &Context,
    namespace: &str,
    name: &str,
    seen: &ObjectMeta,
) -> Result<Action, ReconcileError> {
    let Some(model) = read::<LlmModel>(&context.cluster, namespace, name).await? else {
        return Ok(Action::await_change());
    };
    if is_behind(&model.metadata, seen) {
        return Ok(Action::requeue(BEHIND));
    }
    // Everything below it goes by its owner reference.
    let Some(owner) = validate::owner(&model).filter(|_| model.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let before = context.recollection.before(namespace, name);
    if let Some(provider) = &model.spec.source.provider {
        return hosted::pass(context, &model, &owner, provider, before).await;
    }
    let listed = before.listed();
    let mut observed = dereference::observe(&context.cluster, &owner, before)
        .await
        .map_err(DereferenceError::from)?;
    observed.traffic = dereference::traffic(&context.gateways, &model).await;
    observed.routes = route::look(&context.cluster, &model, &owner)
        .await
        .map_err(DereferenceError::from)?;
    // Noted before it is read: what changes later is for the next pass.
    context.followers.note(&model);
    observed.followed = follow::look(&context.cluster, &model)
        .await
        .map_err(DereferenceError::from)?;
    observed.comparisons = context
        .shadows
        .look(&context.cluster, &model)
        .await
        .map_err(DereferenceError::from)?;
    observed.demand = demand::of(&context.gateways, &model).await;
    observed.adapters = adapters::ask(&context.asker, &model, &observed).await;
    let wanted = validate::validate(&model).and_then(|wanted| validate::offered(wanted, &context.settings));
    let wanted = wanted.map(|wanted| follow::resolved(wanted, &observed));
    let plan = decide(context, &model, &owner, &wanted, &observed);
    let applied = if owner.paused {
        Ok(())
    } else {
        apply::apply(&context.cluster, &context.recollection, &owner, &plan, &mut observed).await
    };
    context.sleepers.note(&model, &observed);
    if let Err(ApplyError::Cluster(error)) = &applied
        && error.is_namespace_leaving()
    {
        // Somebody may make it anew, with the model still in it.
        return Ok(Action::requeue(SETTLED));
    }
    let end = report(
        context,
        &model,
        &owner,
        wanted.as_ref().ok(),
        &plan,
        &observed,
        applied.as_ref().err(),
    )
    .await?;
    applied?;
    let next = next(&plan, &observed, &end);
    let after = After {
        observed,
        again: apply::unheard(&plan),
        listed,
        settled: end.settled,
    };
    context
        .recollection
        .keep(namespace, name, model.metadata.generation, after);
    Ok(next)
}

fn decide(
    context: &Context,
    model: &LlmModel,
    owner: &Owner,
    wanted: &Result<Wanted, Trouble>,
    observed: &Observed,
) -> Plan {
    match wanted {
        Ok(wanted) => {
            let builder = Builder {
                owner,
                wanted,
                settings: &context.settings,
            };
            plan::decide(&builder, observed, model.status.as_ref(), Timestamp::now())
        }
        Err(trouble) => Plan::nothing(Target::Refused(trouble.clone())),
    }
}

/// How a pass ended.
struct End {
    switched: bool,
    settled: bool,
    /// When to ask for adapters again.
    adapters_in: Option<Duration>,
    /// When to look at the route again.
    route_in: Option<Duration>,
}

async fn report(
    context: &Context,
    model: &LlmModel,
    owner: &Owner,
    wanted: Option<&Wanted>,
    plan: &Plan,
    observed: &Observed,
    failure: Option<&ApplyError>,
) -> Result<End, ReconcileError> {
    let before = model.status.clone().unwrap_or_default();
    let current = status::current(model, observed, plan, owner.paused);
    let of_version = |name: &str| wanted.and_then(|wanted| serving_trouble(context, owner, wanted, observed, name));
    let current_trouble = current.as_deref().and_then(of_version);
    let target_trouble = match &plan.target {
        Target::Known(version) => waits(&plan.trial).or_else(|| of_version(&version.name)),
        Target::Preparing(trouble) | Target::Evaluating(_, trouble) => trouble.clone(),
        Target::Refused(trouble) => Some(trouble.clone()),
    };
    let trouble = failure.and_then(ApplyError::refusal).or(target_trouble);
    let facts = Facts {
        model,
        owner,
        settings: &context.settings,
        observed,
        plan,
        compression: wanted.and_then(|wanted| wanted.compress.as_ref()),
        suites: wanted.map_or(&[], |wanted| &wanted.evaluation),
        trouble: trouble.as_ref(),
        current_trouble: current_trouble.as_ref(),
    };
    let after = status::compute(&facts, &Time(Timestamp::now()));
    let written = status::write(&context.cluster, model, owner, &after).await;
    if written.map_err(ReconcileError::Status)? {
        for notice in status::notices(&before, &after) {
            context.events.publish(model, &notice).await;
        }
    }
    let adapters_in = adapters::look_in(&after);
    Ok(End {
        adapters_in,
        route_in: route::look_in(&before, &after),
        switched: before.current_version != after.current_version,
        settled: adapters_in.is_none()
            && trouble.is_none()
            && after.candidate_version.is_none()
            && plan.target.version().is_some(),
    })
}

/// Why a version waits for a person.
fn waits(trial: &Option<Course>) -> Option<Trouble> {
    match trial {
        Some(Course::Shadowing(_, trouble)) => trouble.clone(),
        _ => None,
    }
}

/// Why the pods of a version are not all ready.
fn serving_trouble(
    context: &Context,
    owner: &Owner,
    wanted: &Wanted,
    observed: &Observed,
    name: &str,
) -> Option<Trouble> {
    let deployment = observed.deployment(name)?;
    if status::replicas(Some(deployment)).complete {
        return None;
    }
    let version = observed.version(name)?;
    let builder = Builder {
        owner,
        wanted,
        settings: &context.settings,
    };
    let memory = build::memory(&builder, &version);
    let asked = Asked {
        source: &version.source,
        worker_image: &context.settings.worker_image,
        engine_image: version.served.engine.as_ref().map(|engine| engine.image.as_str()),
        accelerator: wanted.accelerator.as_ref(),
        memory: &memory,
        cpu: &wanted.cpu,
        prepare_memory: build::PREPARE_MEMORY,
        compresses: false,
    };
    diagnose::pods(&observed.pods_of(name), &observed.events, &asked)
        .or_else(|| diagnose::pods_of_deployment(deployment))
}

fn next(plan: &Plan, observed: &Observed, end: &End) -> Action {
    // The version before is retired as soon as the switch is known to all.
    if end.switched {
        return Action::requeue(Duration::ZERO);
    }
    let hangs = observed.pods.iter().any(diagnose::needs_events)
        || observed.jobs.iter().any(|job| diagnose::hangs(job, &observed.pods));
    let look = match (end.settled, hangs) {
        (true, _) => settled(),
        (false, true) => LOOK_AGAIN,
        (false, false) if observed.progress.is_some() => PROGRESS,
        (false, false) => WAITING,
    };
    let look = match &plan.trial {
        Some(Course::On(_, _, soon)) => look.min(*soon),
        // Its children are not needed any more.
        Some(Course::Stopped(_)) => Duration::ZERO,
        Some(Course::Shadowing(..) | Course::Starting | Course::Over) | None => look,
    };
    // The Job that told of scores is not needed any more.
    let look = if plan.scores.is_empty() { look } else { Duration::ZERO };
    // A retired version may go a moment after its time, never before.
    let drained = plan.drained_in.map(|wait| wait + Duration::from_secs(1));
    let waits = [Some(look), drained, plan.look_in, end.adapters_in, end.route_in];
    Action::requeue(waits.into_iter().flatten().min().unwrap_or(look))
}
