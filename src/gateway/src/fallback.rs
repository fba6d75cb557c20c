//! Which models are asked when the one that a caller named cannot answer.

use std::sync::Arc;

use api::llmmodel::Task;

use crate::{catalog::Model, identity::Identity, routes::Gateway};

/// The models that `caller` may use in place of `model`, in the order of its spec. A model that is not there, is for
/// something else, or would take requests where they must not go is passed over.
pub async fn chain(gateway: &Gateway, caller: &Identity, model: &Model, task: Task) -> Vec<Arc<Model>> {
    let mut chain = Vec::new();
    for name in &model.fallback {
        // An answer of the API server that does not come is no permission.
        if let Ok(Some(other)) = gateway.resolver.permitted(caller, &model.namespace, name).await
            && is_fit(model, &other, task)
        {
            chain.push(other);
        }
    }
    chain
}

/// Whether `other` may answer what `model` was asked.
fn is_fit(model: &Model, other: &Model, task: Task) -> bool {
    let stays = other.hosted.is_none() || !model.limits.is_local_only;
    stays && other.task == Some(task) && other.name != model.name
}

#[cfg(test)]
mod tests {
    use api::llmmodel::Provider;

    use super::*;
    use crate::testing;

    #[test]
    fn what_must_stay_in_the_cluster_does() {
        let mut asked = testing::model("ns", "asked");
        let near = testing::model("ns", "near");
        let mut far = testing::model("ns", "far");
        far.hosted = Some(Provider::default());
        assert!(is_fit(&asked, &near, Task::Generate) && is_fit(&asked, &far, Task::Generate));
        asked.limits.is_local_only = true;
        assert!(is_fit(&asked, &near, Task::Generate));
        assert!(!is_fit(&asked, &far, Task::Generate));
        assert!(!is_fit(&asked, &near, Task::Embed));
        assert!(!is_fit(&asked, &asked, Task::Generate));
    }
}
