//! Attempts to make a Room leak, by words that are nowhere else.
//!
//! Each source of each Room gets a document with a [`Canary`]: words that a secret decides, so that whoever says them
//! has read them. Whoever fills a Room plants one, for a group that nobody is in. [`attacks`] lists what is asked; somebody
//! else asks, as each [`Role`] in turn, and [`judge`] looks for canaries that the principal may not see in everything that
//! came back, however they are spelled. In databases nothing can be planted: [`judge_database`] looks at who gets rows, and by
//! which statement. Pairs of answers that must not differ are compared by [`judge_pair`], times by
//! [`timing`]. [`Summary`] says whether the Room passed: a suite in which nothing was found because nothing could be found
//! did not pass.
//!
//! The classes come from leaks that there were: all but one are a second way to a document that forgot a check.

mod attack;
mod canary;
mod database;
mod find;
mod judge;
mod observed;
mod plan;
mod role;
mod summary;
mod templates;
pub mod timing;

#[cfg(test)]
mod tests;

pub use attack::{Attack, Class, Request};
pub use canary::Canary;
pub use database::{Database, Described, judge_database};
pub use find::Form;
pub use judge::{Finding, Verdict, judge, judge_pair};
pub use observed::{Asked, Observed, Part, Ring};
pub use plan::{Bait, HOST, RoomFacts, Target, attacks, chosen, database_control};
pub use role::{Role, bait_acl, canary_acl, is_planted, is_reserved_group, is_reserved_user, planted_names};
pub use summary::{Counts, Summary};
