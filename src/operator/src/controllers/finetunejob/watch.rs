//! Which FineTuneJobs an event of another object concerns.

use std::{collections::HashMap, sync::Arc};

use api::{FineTuneJob, LlmModel, names::LABEL_PARENT};
use kube::{
    api::ObjectMeta,
    runtime::{reflector::ObjectRef, watcher::Event},
};

use super::Context;
use crate::watches::{Meta, named};

type Reference = ObjectRef<Meta<FineTuneJob>>;

/// One that comes or goes concerns its parent, and a changed parent its children, which stop when it does.
pub fn family() -> impl FnMut(&Event<Meta<FineTuneJob>>) -> Vec<Reference> + Send + 'static {
    // Without a spec to look at there is no other way to know who has children.
    let mut children: HashMap<Reference, Vec<Reference>> = HashMap::new();
    move |event| match event {
        Event::Init => {
            children.clear();
            Vec::new()
        }
        Event::InitDone => Vec::new(),
        Event::InitApply(job) => {
            if let Some(parent) = parent(&job.metadata) {
                children.entry(parent).or_default().push(ObjectRef::from_obj(job));
            }
            Vec::new()
        }
        Event::Apply(job) => {
            let reference = ObjectRef::from_obj(job);
            let mut touched: Vec<_> = children.get(&reference).cloned().unwrap_or_default();
            if let Some(parent) = parent(&job.metadata) {
                let siblings = children.entry(parent.clone()).or_default();
                if !siblings.contains(&reference) {
                    siblings.push(reference);
                }
                touched.push(parent);
            }
            touched
        }
        Event::Delete(job) => {
            let reference = ObjectRef::from_obj(job);
            children.remove(&reference);
            let parent = parent(&job.metadata);
            if let Some(siblings) = parent.as_ref().and_then(|parent| children.get_mut(parent)) {
                siblings.retain(|sibling| *sibling != reference);
            }
            parent.into_iter().collect()
        }
    }
}

/// LlmModels, for FineTuneJobs that wait for one.
pub fn bases(context: Arc<Context>) -> impl FnMut(Event<Meta<LlmModel>>) -> Vec<Reference> + Send + 'static {
    move |event| {
        let (Event::Apply(model) | Event::InitApply(model)) = event else {
            return Vec::new();
        };
        let (Some(namespace), Some(name)) = (&model.metadata.namespace, &model.metadata.name) else {
            return Vec::new();
        };
        let waiting = context.waiting.of(namespace, name);
        let reference = |job: &String| ObjectRef::new(job).within(namespace);
        waiting.iter().map(reference).collect()
    }
}

fn parent(meta: &ObjectMeta) -> Option<Reference> {
    named(meta, LABEL_PARENT)
}
