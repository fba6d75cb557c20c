//! Watches of metadata only: they say which FineTuneJob to look at.

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use api::{
    FineTuneJob, LlmModel,
    names::{LABEL_JOB, LABEL_MANAGED_BY, LABEL_PARENT, MANAGED_BY},
};
use kube::{
    Resource,
    api::{ObjectMeta, PartialObjectMeta},
    core::NamespaceResourceScope,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};
use tokio::{sync::mpsc, task::JoinSet};

use super::Context;
use crate::{
    cluster,
    watches::{follow, is_asked_anew},
};

/// A FineTuneJob without its spec and status.
pub type JobMeta = PartialObjectMeta<FineTuneJob>;

/// Notifications that may wait for the scheduler.
const QUEUE: usize = 1024;

/// The watches behind the controller. Dropping it ends them.
pub struct Watches {
    tasks: JoinSet<()>,
    sender: mpsc::Sender<ObjectRef<JobMeta>>,
    context: Arc<Context>,
}

impl Watches {
    /// No watch yet; the receiver hears which FineTuneJobs to look at.
    pub fn new(context: Arc<Context>) -> (Self, mpsc::Receiver<ObjectRef<JobMeta>>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let watches = Self {
            tasks: JoinSet::new(),
            sender,
            context,
        };
        (watches, receiver)
    }

    /// Follows the FineTuneJobs themselves. One that comes or goes concerns its parent, and a changed parent its
    /// children, which stop when it does.
    pub fn jobs(&mut self) -> Store<JobMeta> {
        let mut writer = Writer::<JobMeta>::new(());
        let store = writer.as_reader();
        let known = store.clone();
        let mut listed = Vec::new();
        // Without a spec to look at there is no other way to know who has children.
        let mut children: HashMap<ObjectRef<JobMeta>, Vec<ObjectRef<JobMeta>>> = HashMap::new();
        let notify = move |mut event: Event<JobMeta>| {
            if let Event::InitApply(job) | Event::Apply(job) | Event::Delete(job) = &mut event {
                job.metadata.managed_fields = None;
            }
            let touched = match &event {
                Event::Init => {
                    listed = Vec::new();
                    children.clear();
                    Vec::new()
                }
                Event::InitApply(job) => {
                    let reference = ObjectRef::from_obj(job);
                    if let Some(parent) = parent(&job.metadata) {
                        children.entry(parent).or_default().push(reference.clone());
                    }
                    listed.push(reference);
                    Vec::new()
                }
                // Only now does the store hold them.
                Event::InitDone => std::mem::take(&mut listed),
                Event::Apply(job) => {
                    let reference = ObjectRef::from_obj(job);
                    let before = known.get(&reference);
                    let matters = is_asked_anew(before.as_deref().map(|job| &job.metadata), &job.metadata);
                    let mut touched: Vec<_> = children.get(&reference).cloned().unwrap_or_default();
                    if let Some(parent) = parent(&job.metadata) {
                        let siblings = children.entry(parent.clone()).or_default();
                        if !siblings.contains(&reference) {
                            siblings.push(reference.clone());
                        }
                        touched.push(parent);
                    }
                    touched.push(reference);
                    if matters { touched } else { Vec::new() }
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
            };
            writer.apply_watcher_event(&event);
            touched
        };
        self.spawn(watcher::Config::default(), notify);
        store
    }

    /// Follows children of one kind. After a gap in the watch every FineTuneJob is looked at: a child that was deleted
    /// meanwhile is in no list.
    pub fn children<K>(&mut self, jobs: &Store<JobMeta>)
    where
        K: cluster::Kind + Resource<DynamicType = (), Scope = NamespaceResourceScope> + Debug + 'static,
    {
        let ours = watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_JOB}"));
        let (jobs, cluster) = (jobs.clone(), self.context.cluster.clone());
        let notify = move |event: Event<PartialObjectMeta<K>>| match event {
            Event::Init | Event::InitApply(_) => Vec::new(),
            Event::InitDone => jobs
                .state()
                .iter()
                .map(|job| ObjectRef::from_obj(job.as_ref()))
                .collect(),
            Event::Apply(child) | Event::Delete(child) => {
                cluster.saw::<K>(&child.metadata);
                named(&child.metadata, LABEL_JOB).into_iter().collect()
            }
        };
        self.spawn(ours, notify);
    }

    /// Follows LlmModels, for FineTuneJobs that wait for one.
    pub fn bases(&mut self) {
        let context = self.context.clone();
        let notify = move |event: Event<PartialObjectMeta<LlmModel>>| {
            let (Event::Apply(model) | Event::InitApply(model)) = event else {
                return Vec::new();
            };
            let (Some(namespace), Some(name)) = (&model.metadata.namespace, &model.metadata.name) else {
                return Vec::new();
            };
            let waiting = context.waiting.of(namespace, name);
            let reference = |job: &String| ObjectRef::new(job).within(namespace);
            waiting.iter().map(reference).collect()
        };
        self.spawn(watcher::Config::default(), notify);
    }

    fn spawn<K>(
        &mut self,
        config: watcher::Config,
        notify: impl FnMut(Event<K>) -> Vec<ObjectRef<JobMeta>> + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned + Send + 'static,
    {
        let (client, metrics) = (self.context.cluster.client(), self.context.metrics.clone());
        self.tasks
            .spawn(follow(client, config, notify, self.sender.clone(), metrics));
    }
}

fn parent(meta: &ObjectMeta) -> Option<ObjectRef<JobMeta>> {
    named(meta, LABEL_PARENT)
}

/// The FineTuneJob that a label names.
fn named(meta: &ObjectMeta, label: &str) -> Option<ObjectRef<JobMeta>> {
    let job = meta.labels.as_ref()?.get(label)?;
    Some(ObjectRef::new(job).within(meta.namespace.as_deref()?))
}
