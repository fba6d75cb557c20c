//! One pass over one Room, as a table of contents.

use std::time::Duration;

use api::Room;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{api::ObjectMeta, runtime::controller::Action};
use protocol::rooms::state::State;

use super::{
    Context, apply,
    build::Builder,
    decide::{self, Plan, Stage, redteam::Testing},
    dereference::{self, Observed},
    leave,
    status::{self, Facts},
    validate::{self, Owner, Wanted},
};
use crate::controllers::{
    common::{
        apply::ApplyError,
        dereference::read,
        reconcile::{BEHIND, LOOK_AGAIN, ReconcileError, SETTLED, WAITING, is_behind, settled},
    },
    llmmodel::diagnose,
};

/// Brings one Room closer to what its spec asks for; `seen` is what its watch knows of it.
pub async fn reconcile(
    context: &Context,
    namespace: &str,
    name: &str,
    seen: &ObjectMeta,
) -> Result<Action, ReconcileError> {
    let Some(room) = read::<Room>(&context.cluster, namespace, name).await? else {
        return Ok(Action::await_change());
    };
    if is_behind(&room.metadata, seen) {
        return Ok(Action::requeue(BEHIND));
    }
    let Some(owner) = Owner::new(&room) else {
        return Ok(Action::await_change());
    };
    if room.metadata.deletion_timestamp.is_some() {
        return leave::leave(context, &room, &owner).await;
    }
    // Before there is anything that would be left behind.
    if context.settings.keeps_rooms {
        leave::hold(&context.cluster, &room, &owner).await?;
    }
    // Noted before they are read: what changes later is for the next pass.
    context.references.note(namespace, name, &room.spec);
    let mut observed = dereference::observe(&context.cluster, &owner, &room).await?;
    let wanted = validate::validate(&room, &context.settings);
    observed.state = state(context, &owner, &room, wanted.as_ref().ok()).await;
    let now = Timestamp::now();
    let before = room.status.clone().unwrap_or_default();
    let ca = context.contents.certificates();
    let builder = wanted.as_ref().map(|wanted| Builder {
        owner: &owner,
        wanted,
        settings: &context.settings,
        ca: ca.as_deref(),
    });
    let plan = decide::decide(
        &owner,
        &room.spec,
        builder.as_ref().map_err(|trouble| *trouble),
        &observed,
        &before,
        now,
    );
    let applied = match owner.paused {
        true => Ok(()),
        false => apply::apply(&context.cluster, &owner, &plan, &observed).await,
    };
    if let Err(ApplyError::Cluster(error)) = &applied
        && error.is_namespace_leaving()
    {
        return Ok(Action::requeue(SETTLED));
    }
    let failure = applied.as_ref().err().and_then(ApplyError::refusal);
    let facts = Facts {
        room: &room,
        owner: &owner,
        wanted: wanted.as_ref().ok(),
        settings: &context.settings,
        observed: &observed,
        plan: &plan,
        failure: failure.as_ref(),
    };
    let after = status::compute(&facts, &Time(now));
    let written = status::write(&context.cluster, &owner, &room, &after).await;
    if written.map_err(ReconcileError::Status)? {
        for notice in status::notices(&before, &after) {
            context.events.publish(&room, &notice).await;
        }
    }
    applied?;
    let stale = wanted
        .as_ref()
        .ok()
        .and_then(|wanted| status::stale_at(wanted, &after, now));
    Ok(Action::requeue(next(
        &plan,
        &observed,
        wanted.as_ref().ok(),
        stale,
        now,
    )))
}

/// What the gateway says is in the Room, where anything may be.
async fn state(context: &Context, owner: &Owner, room: &Room, wanted: Option<&Wanted>) -> Option<State> {
    let Owner {
        namespace,
        name,
        paused,
        ..
    } = owner;
    let has_contents = room.status.as_ref().is_some_and(|status| status.generation.is_some());
    let may_have = wanted.is_some_and(|wanted| has_contents || wanted.takes_uploads() || !wanted.databases.is_empty());
    if *paused || !may_have {
        return None;
    }
    match context.contents.look(namespace, name).await {
        Ok(state) => Some(state),
        Err(error) => {
            tracing::debug!(namespace, name, %error, "failed to learn what was brought to a Room");
            None
        }
    }
}

/// When to look again.
fn next(
    plan: &Plan,
    observed: &Observed,
    wanted: Option<&Wanted>,
    stale: Option<Timestamp>,
    now: Timestamp,
) -> Duration {
    let hangs = observed.pods.iter().any(diagnose::needs_events)
        || observed
            .jobs
            .iter()
            .chain(&observed.tests)
            .any(|job| diagnose::hangs(job, &observed.pods));
    let look = match &plan.stage {
        // What is next follows from what is noted now.
        Stage::Ended(_) => return Duration::ZERO,
        _ if matches!(plan.testing, Testing::Ended(_)) => return Duration::ZERO,
        _ if hangs => LOOK_AGAIN,
        Stage::Waiting(_) | Stage::Reading(_) => WAITING,
        _ if matches!(plan.testing, Testing::Running(_)) => WAITING,
        _ if wanted.is_some_and(Wanted::takes_uploads) => WAITING,
        // Whoever mends a Secret or a database tells nobody.
        _ if observed
            .state
            .iter()
            .flat_map(|state| &state.databases)
            .any(|database| database.error.is_some()) =>
        {
            WAITING
        }
        Stage::Refused(_) | Stage::Empty | Stage::Idle => settled(),
    };
    let until = |time: Timestamp| Duration::try_from(time.duration_since(now)).ok();
    let times = [plan.next, plan.next_test, stale]
        .into_iter()
        .flatten()
        .filter_map(until);
    // A moment after, never before.
    times.map(|wait| wait + BEHIND).chain([look]).min().unwrap_or(look)
}
