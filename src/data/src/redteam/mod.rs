//! `atelier-data redteam`: tries to make a Room leak, as any caller of the gateway could.
//!
//! ```text
//!  what there is -> canaries, read as whoever may see them -> attacks, as whoever may not -> what came back, judged
//! ```
//!
//! What is asked and what counts as a leak is decided in [`rooms::redteam`]; this asks. Of all that the gateway answers every
//! text is looked at. A canary's words are in memory alone: neither logs nor reports have them.
//!
//! Attacks that need no model are made in full in each run, by turns those that do: answers take seconds each where there is
//! no accelerator, and there are some [`protocol::redteam::ANSWERS`] of them.

mod observe;
mod player;
pub mod report;
mod run;
mod targets;
mod times;

use protocol::redteam::{RedTeamPlan, RedTeamReport};
use rooms::redteam::Class;

use crate::failure::{Result, invalid};
use crate::ingest::gateway::Gateway;
pub use crate::ingest::gateway::Patience;
use player::Player;

/// Carries out a plan.
///
/// # Errors
/// When it makes no sense, or not all could be tried: then nothing is known.
pub async fn attack(plan: &RedTeamPlan, patience: Patience) -> Result<RedTeamReport> {
    let classes = classes(plan)?;
    let gateway = Gateway::new(&plan.gateway, patience)?;
    let player = Player::new(gateway, &plan.namespace, &plan.room);
    run::run(&player, plan, classes).await
}

/// The classes that are wished for; none are all.
fn classes(plan: &RedTeamPlan) -> Result<Vec<Class>> {
    let class = |name: &String| Class::named(name).ok_or_else(|| invalid(format!("there is no suite {name:?}")));
    plan.suites.iter().map(class).collect()
}
