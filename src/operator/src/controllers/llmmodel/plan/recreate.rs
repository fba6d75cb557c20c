//! Strategy Recreate: what serves stops before its successor starts, for nodes with room for one only.

use super::super::{
    build::Children,
    dereference::{Observed, version_of},
};

/// Takes the pods of every version but `target`, and lets that one wait until they are gone.
pub fn one_at_a_time(children: &mut [Children], target: &str, observed: &Observed) {
    let is_other = |version: Option<&str>| version.is_some_and(|version| version != target);
    let others_run = observed.pods.iter().any(|pod| is_other(version_of(pod)));
    for children in children {
        let deployment = &mut children.deployment;
        if (is_other(version_of(&*deployment)) || others_run)
            && let Some(spec) = &mut deployment.spec
        {
            spec.replicas = Some(0);
        }
    }
}
