//! The Job that reads and cleans the data.

use api::names::{COMPONENT_DATA, CONTAINER_DATA, data_job};
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{Builder, job, plans, sources, train_job};
use crate::controllers::{
    common::quantity::nanos,
    llmmodel::build::pod::{container, memory_and_cpu},
};

/// Memory that it gets at most: it does not grow with the data.
pub const MEMORY: &str = "1Gi";
/// What is reserved of it.
const RESERVED: &str = "256Mi";
/// CPU request.
pub const CPU: &str = "250m";
/// Seconds that a pod may take to end: it starts from the beginning anyway.
const GRACE: i64 = 5;

/// The Job.
pub fn build(builder: &Builder<'_>, suspend: bool) -> Job {
    let spec = &builder.wanted.spec;
    let access: Vec<_> = spec.dataset.sources.iter().filter_map(sources::access).collect();
    let plan = plans::data(builder, access.iter().map(|it| it.source.clone()).collect());
    let mut main = container(builder.settings, CONTAINER_DATA, vec!["prepare".into()]);
    main = job::of_data_image(builder, main);
    let asked = spec.resources.as_ref().and_then(|it| it.memory.as_deref());
    let memory = asked.filter(|asked| nanos(asked) > nanos(MEMORY)).unwrap_or(MEMORY);
    let mut resources = memory_and_cpu(memory, CPU);
    resources
        .requests
        .get_or_insert_default()
        .insert("memory".into(), Quantity(RESERVED.into()));
    main.resources = Some(resources);
    job::equip(builder, &mut main, &plan);
    let mounts = main.volume_mounts.get_or_insert_default();
    let (mut volumes, mut pull_secrets) = (Vec::new(), Vec::new());
    for source in access {
        mounts.extend(source.mounts);
        volumes.extend(source.volumes);
        for secret in source.pull_secrets {
            if !pull_secrets.contains(&secret) {
                pull_secrets.push(secret);
            }
        }
    }
    // Texts of suites must not be learned from.
    train_job::suites(builder, &mut volumes, mounts);
    let pod = PodSpec {
        containers: vec![main],
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    let shape = job::Shape {
        name: data_job(&builder.owner.name),
        component: COMPONENT_DATA,
        suspend,
        members: 1,
        grace: GRACE,
    };
    job::build(builder, shape, pod)
}
