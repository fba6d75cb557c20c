//! The processes of a training: who this one is, and where all begin.

use protocol::tune::{TrainFailure, TrainPlan};
use serde::{Deserialize, Serialize};
use train::collective::{
    Alone, Group,
    ring::{MeetError, Ring, Settings},
};

use super::{
    compute::Compute,
    failure::{of_lost, permanent, reasons, temporary},
    plan::processes,
};

/// Kubernetes tells a pod of an indexed Job its number here.
const RANK: &str = "JOB_COMPLETION_INDEX";

/// The number of this process.
///
/// # Errors
/// When it is not said, or is none.
pub fn rank(plan: &TrainPlan) -> Result<usize, TrainFailure> {
    let size = processes(plan);
    if size == 1 {
        return Ok(0);
    }
    parse(std::env::var(RANK).ok().as_deref(), size)
}

fn parse(text: Option<&str>, size: usize) -> Result<usize, TrainFailure> {
    let rank = text.and_then(|text| text.parse().ok()).filter(|rank| *rank < size);
    rank.ok_or_else(|| {
        let found = text.unwrap_or("nothing");
        let message = format!("{RANK} says {found}: with {size} processes it must be a number below that");
        permanent(reasons::INVALID_PLAN, message)
    })
}

/// Waits for the other processes, if there are any.
///
/// # Errors
/// When they do not come.
pub fn meet(plan: &TrainPlan, rank: usize, key: [u8; 32]) -> Result<Box<dyn Group>, TrainFailure> {
    let members = plan.members.as_ref().filter(|members| members.addresses.len() > 1);
    let Some(members) = members else {
        return Ok(Box::new(Alone));
    };
    let ring = Ring::meet(Settings::new(members.addresses.clone(), rank, key));
    let ring = ring.map_err(|error| match error {
        MeetError::Settings(_) => permanent(reasons::INVALID_PLAN, error.to_string()),
        error => temporary(reasons::MEMBER_LOST, error.to_string()),
    })?;
    Ok(Box::new(ring))
}

/// How all begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// After so many changes of the weights.
    pub step: u64,
    /// With this.
    pub compute: Compute,
}

/// What the first process has found: all begin so.
///
/// # Errors
/// When another process is lost.
pub fn agree(group: &mut dyn Group, own: Begin) -> Result<Begin, TrainFailure> {
    let mut bytes = serde_json::to_vec(&own).expect("it has text keys only");
    group.broadcast(&mut bytes).map_err(of_lost)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("rank 0 said something else than where to begin: {error}");
        temporary(reasons::MEMBER_LOST, message)
    })
}

/// Whether anybody was told to end: all end at the same step then.
///
/// # Errors
/// When another process is lost.
pub fn any(group: &mut dyn Group, own: bool) -> Result<bool, TrainFailure> {
    let mut value = [f32::from(u8::from(own))];
    group.all_reduce(&mut value).map_err(of_lost)?;
    Ok(value[0] > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_a_number_below_the_size() {
        assert_eq!(parse(Some("1"), 2).unwrap(), 1);
        for text in [None, Some("2"), Some("-1"), Some("one")] {
            let failure = parse(text, 2).unwrap_err();
            assert!(failure.message.contains(RANK) && !failure.retryable, "{failure}");
        }
    }

    #[test]
    fn one_process_agrees_with_itself() {
        let begin = Begin {
            step: 7,
            compute: Compute {
                dtype: "bf16".into(),
                threads: 3,
                processor: "avx2".into(),
            },
        };
        assert_eq!(agree(&mut Alone, begin.clone()).unwrap(), begin);
        assert!(any(&mut Alone, true).unwrap() && !any(&mut Alone, false).unwrap());
    }
}
