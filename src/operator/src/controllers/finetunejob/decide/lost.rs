//! Jobs that end without telling how. Pure.
//!
//! A node takes its pods with it, last words included: the Job is made anew, finds what is there already, and tells.
//! What happens again and again is no accident, and is reported.

use api::{FineTuneJobStatus, names::ANNOTATION_LOST, reasons};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;

use super::{End, Plan, Stage, identity};
use crate::controllers::common::{
    jobs::{last_message, with_way_out},
    trouble::Trouble,
};

/// Jobs in a row that may end without telling how.
const MOST: i32 = 3;
/// Characters of words that nobody understands.
const WORDS: usize = 200;

/// Deletes a Job that did not tell, to be made anew as `stage` says, unless those before it did not tell either.
pub fn again(job: &Job, pods: &[&Pod], plan: &mut Plan, stage: Stage) -> Stage {
    // By the Job, so that a second look at it counts it once.
    let before = job.annotations().get(ANNOTATION_LOST).and_then(|it| it.parse().ok());
    let lost = before.unwrap_or(0_i32).saturating_add(1);
    if lost >= MOST {
        return Stage::Ended(End::Failed(with_way_out(trouble(job, pods), job)));
    }
    plan.lost = Some(lost);
    plan.delete.push(identity(job));
    stage
}

/// A Job that knows how many before it did not tell.
pub fn noted(mut job: Job, status: &FineTuneJobStatus) -> Job {
    if let Some(lost) = status.lost {
        job.annotations_mut().insert(ANNOTATION_LOST.into(), lost.to_string());
    }
    job
}

fn trouble(job: &Job, pods: &[&Pod]) -> Trouble {
    let words = pods.iter().find_map(|pod| last_message(pod));
    let told = match words {
        Some((_, words)) => {
            let words: String = words.chars().take(WORDS).collect();
            format!("the last words of its pod are none that this release understands: {words:?}")
        }
        None => "its pods were gone before they could be asked".into(),
    };
    let message = format!(
        "Job {} has ended {MOST} times in a row without telling how: {told}",
        job.name_any()
    );
    Trouble::new(reasons::TRAINING_FAILED, message)
}

#[cfg(test)]
mod tests {
    use api::finetunejob::Phase;
    use protocol::tune::TrainOutcome;
    use serde_json::json;

    use super::*;
    use crate::controllers::finetunejob::decide::world::{World, report};

    fn training() -> World {
        let mut world = World::new(json!({}));
        world.pass();
        world.data_ready();
        world.pass();
        world
    }

    #[test]
    fn words_that_nobody_understands_are_reported_after_a_few_attempts() {
        let mut world = training();
        for attempt in 1..MOST {
            world.ends("tune-train", r#"{"published":{"perplexity":null}}"#, Some("Complete"));
            let plan = world.pass();
            assert_eq!((plan.delete.len(), world.status().lost), (1, Some(attempt)));
            world.forget_pods();
            assert_eq!(world.pass().jobs[0].name_any(), "tune-train");
        }
        world.ends("tune-train", r#"{"published":{"perplexity":null}}"#, Some("Complete"));
        assert!(world.pass().delete.is_empty());
        assert_eq!(
            (world.phase(), world.reason("Failed")),
            (Phase::Failed, reasons::TRAINING_FAILED.into())
        );
        let status = world.status();
        let failed = api::conditions::find(&status.conditions, "Failed").unwrap();
        for words in ["3 times", "perplexity", "kubectl delete job tune-train"] {
            assert!(failed.message.contains(words), "{}", failed.message);
        }
        // It is over: nothing is made or deleted.
        let plan = world.pass();
        assert!(plan.jobs.is_empty() && plan.delete.is_empty());
    }

    #[test]
    fn a_second_look_at_a_job_that_is_on_its_way_out_counts_it_once() {
        let mut world = training();
        world.ends("tune-train", "", Some("Complete"));
        let left = world.observed.jobs.clone();
        world.pass();
        world.observed.jobs = left;
        world.pass();
        assert_eq!(world.status().lost, Some(1));
    }

    #[test]
    fn an_end_that_is_told_begins_the_count_anew() {
        let mut world = training();
        world.ends("tune-train", "", Some("Complete"));
        world.pass();
        world.forget_pods();
        world.pass();
        world.trained(&TrainOutcome::Published(report("sha256:aa", None)));
        world.pass();
        assert_eq!((world.phase(), world.status().lost), (Phase::Succeeded, None));
    }
}
