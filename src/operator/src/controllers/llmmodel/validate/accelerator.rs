//! What the schema cannot say of accelerators.

use api::LlmModelSpec;

/// A model that is split over more devices than its pods have.
pub fn fault(spec: &LlmModelSpec) -> Option<String> {
    let resources = spec.resources.as_ref()?;
    let split = resources.tensor_parallel.filter(|split| *split > 1)?;
    let count = resources.accelerator.as_ref().map_or(0, |it| it.count);
    (split > count).then(|| {
        format!(
            "spec.resources.tensorParallel {split} needs as many devices in each pod: set \
             spec.resources.accelerator.count, which is {count}, to {split} or more"
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::llmmodel::testing::model;

    #[rstest]
    #[case(json!({"tensorParallel": 2}), Some("count, which is 0"))]
    #[case(json!({"tensorParallel": 4, "accelerator": {"resourceName": "a/b", "count": 2}}), Some("which is 2, to 4"))]
    #[case(json!({"tensorParallel": 2, "accelerator": {"resourceName": "a/b", "count": 4}}), None)]
    #[case(json!({"tensorParallel": 1}), None)]
    #[case(json!({"accelerator": {"resourceName": "a/b"}}), None)]
    fn a_model_is_split_over_what_its_pods_have(#[case] resources: Value, #[case] words: Option<&str>) {
        let found = fault(&model(json!({"resources": resources})).spec);
        assert_eq!(found.is_some(), words.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(words.unwrap_or_default()));
    }
}
