//! Who chooses the number of a version's pods.

use api::{
    llmmodel::{Autoscaling, AutoscalingMetric, AutoscalingTarget, ScalingBehavior},
    names::{LABEL_MODEL, LABEL_VERSION},
};
use k8s_openapi::{
    api::autoscaling::v2::{
        CrossVersionObjectReference, ExternalMetricSource, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
        HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
        ResourceMetricSource,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};

use super::Builder;
use crate::{
    controllers::llmmodel::{quantity, version::Version},
    metrics_api::Metric,
};

/// Requests in flight for each replica when the spec names no target.
const DEFAULT_IN_FLIGHT: &str = "4";

/// The HorizontalPodAutoscaler of a version. It never stops the last pod: the operator does.
pub fn build(builder: &Builder<'_>, version: &Version, asked: &Autoscaling) -> HorizontalPodAutoscaler {
    let metadata = builder.version_metadata(version);
    let default = [AutoscalingTarget {
        metric: AutoscalingMetric::InFlight,
        value: DEFAULT_IN_FLIGHT.into(),
    }];
    let targets = match &asked.targets[..] {
        [] => &default[..],
        targets => targets,
    };
    HorizontalPodAutoscaler {
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".into()),
                kind: "Deployment".into(),
                name: metadata.name.clone().unwrap_or_default(),
            },
            min_replicas: Some(asked.min_replicas.max(1)),
            max_replicas: asked.max_replicas,
            metrics: Some(targets.iter().map(|target| metric(builder, version, target)).collect()),
            behavior: asked.behavior.as_ref().map(behavior),
        },
        metadata,
        status: None,
    }
}

/// Forbids it to take pods away.
pub fn keep_all(hpa: &mut HorizontalPodAutoscaler) {
    let behavior = hpa.spec.behavior.get_or_insert_default();
    behavior.scale_down.get_or_insert_default().select_policy = Some("Disabled".into());
}

fn metric(builder: &Builder<'_>, version: &Version, asked: &AutoscalingTarget) -> MetricSpec {
    let Some(metric) = Metric::of(asked.metric) else {
        return cpu(&asked.value);
    };
    let value = Some(Quantity(asked.value.clone()));
    // Waiting times and shares do not add up over pods: the number of pods follows their ratio.
    let target = match metric.adds_up() {
        true => MetricTarget {
            type_: "AverageValue".into(),
            average_value: value,
            ..MetricTarget::default()
        },
        false => MetricTarget {
            type_: "Value".into(),
            value,
            ..MetricTarget::default()
        },
    };
    let labels = [(LABEL_MODEL, &builder.owner.name), (LABEL_VERSION, &version.name)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.clone()));
    MetricSpec {
        type_: "External".into(),
        external: Some(ExternalMetricSource {
            metric: MetricIdentifier {
                name: metric.name().into(),
                selector: Some(LabelSelector {
                    match_labels: Some(labels.into()),
                    ..LabelSelector::default()
                }),
            },
            target,
        }),
        ..MetricSpec::default()
    }
}

fn cpu(percent: &str) -> MetricSpec {
    MetricSpec {
        type_: "Resource".into(),
        resource: Some(ResourceMetricSource {
            name: "cpu".into(),
            target: MetricTarget {
                type_: "Utilization".into(),
                average_utilization: quantity::whole(percent),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

fn behavior(asked: &ScalingBehavior) -> HorizontalPodAutoscalerBehavior {
    let rules = |window: Option<i32>, per_minute: Option<i32>| {
        let rules = HPAScalingRules {
            stabilization_window_seconds: window,
            policies: per_minute.map(|pods| {
                vec![HPAScalingPolicy {
                    type_: "Pods".into(),
                    value: pods,
                    period_seconds: 60,
                }]
            }),
            ..HPAScalingRules::default()
        };
        (rules != HPAScalingRules::default()).then_some(rules)
    };
    HorizontalPodAutoscalerBehavior {
        scale_up: rules(asked.scale_up_stabilization_seconds, asked.max_added_per_minute),
        scale_down: rules(asked.scale_down_stabilization_seconds, asked.max_removed_per_minute),
    }
}
