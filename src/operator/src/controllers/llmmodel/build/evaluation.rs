//! The Job that asks a version questions with known answers before it gets traffic.

use api::names::{self, CONTAINER_EVALUATE};
use k8s_openapi::api::{batch::v1::Job, core::v1::PodSpec};
use protocol::paths::SUITES_DIR;

use super::{
    Builder, job, model_pod,
    pod::{container, literal},
    weights,
};
use crate::controllers::llmmodel::{evaluation, source::Source, validate::Suite, version::Version};

/// The Job that evaluates `version` on `suites`.
pub fn build(builder: &Builder<'_>, version: &Version, suites: &[Suite]) -> Job {
    let mut args = vec!["evaluate".to_owned()];
    args.extend(model_pod::args(builder, version));
    let mut main = container(builder.settings, CONTAINER_EVALUATE, Vec::new());
    let mounts = main.volume_mounts.get_or_insert_default();
    mounts.extend(model_pod::mounts(builder, version));
    let mut volumes = Vec::new();
    for suite in suites {
        let asked = match &suite.source {
            None => suite.name.clone(),
            Some(source) => {
                let volume = format!("suite-{}", suite.name);
                let directory = format!("{SUITES_DIR}/{}", suite.name);
                mounts.push(job::mount(&volume, &directory, Some(true)));
                volumes.push(weights::volume(&volume, source));
                format!(
                    "{}={directory}/{}",
                    suite.name,
                    Source::path(source).unwrap_or_default()
                )
            }
        };
        args.extend(["--suite".to_owned(), literal(&asked)]);
    }
    main.args = Some(args);
    main.resources = Some(model_pod::resources(builder, version));
    let mut spec = model_pod::spec(builder, version, main);
    spec.volumes.get_or_insert_default().extend(volumes);
    let key = evaluation::job_key(version, suites);
    let name = names::evaluate_job(&builder.owner.name, &key);
    let mut job = job::job(builder, name, PodSpec { ..spec });
    if let Some(spec) = &mut job.spec {
        model_pod::annotate(&mut spec.template, version);
    }
    job
}
