//! What the schema cannot say of `spec.autoscaling`.

use api::{
    LlmModelSpec,
    llmmodel::{AutoscalingMetric, Task},
};

use crate::controllers::llmmodel::quantity;

/// Every fault, each with its field and what to do.
pub fn faults(spec: &LlmModelSpec) -> Vec<String> {
    let targets = spec.autoscaling.iter().flat_map(|asked| &asked.targets);
    let fault = |target: &api::llmmodel::AutoscalingTarget| {
        let metric = target.metric;
        let field = format!("spec.autoscaling.targets, metric {metric:?}");
        match metric {
            AutoscalingMetric::TokensPerSecond | AutoscalingMetric::KvCacheUsage if spec.task != Task::Generate => {
                Some(format!(
                    "{field}: a model for {:?} generates no tokens; use InFlight, QueueSeconds or CPU",
                    spec.task
                ))
            }
            AutoscalingMetric::CPU if quantity::whole(&target.value).is_none() => Some(format!(
                "{field}: value {:?} must be a whole number of percent above 0, as 80",
                target.value
            )),
            _ if quantity::nanos(&target.value).is_none_or(|value| value <= 0) => Some(format!(
                "{field}: value {:?} must be a quantity above 0, as 4 or 500m",
                target.value
            )),
            _ => None,
        }
    };
    targets.filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::controllers::llmmodel::testing::model;

    #[rstest]
    #[case("Generate", "InFlight", "4", true)]
    #[case("Generate", "QueueSeconds", "500m", true)]
    #[case("Generate", "CPU", "80", true)]
    #[case("Generate", "CPU", "80500m", false)]
    #[case("Generate", "InFlight", "0", false)]
    #[case("Generate", "KvCacheUsage", "many", false)]
    #[case("Embed", "QueueSeconds", "1", true)]
    #[case("Embed", "TokensPerSecond", "100", false)]
    #[case("Rerank", "KvCacheUsage", "80", false)]
    fn targets_that_mean_nothing_are_refused(
        #[case] task: &str,
        #[case] metric: &str,
        #[case] value: &str,
        #[case] fine: bool,
    ) {
        let targets = json!([{"metric": metric, "value": value}]);
        let faults = faults(&model(json!({"task": task, "autoscaling": {"maxReplicas": 2, "targets": targets}})).spec);
        assert_eq!(faults.is_empty(), fine, "{faults:?}");
        assert!(faults.iter().all(|it| it.contains(metric)), "{faults:?}");
    }
}
