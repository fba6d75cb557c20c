//! Brings the adapters that are loaded to what a file lists, while requests go on: the operator writes the
//! file, and the kubelet puts it into the pod without a restart.

mod decide;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use artifacts::adapter;
use protocol::{AdaptersReport, WantedAdapter, WantedAdapters};
use tokio::{
    sync::oneshot,
    task::{JoinSet, spawn_blocking},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use self::decide::{AllKnown, Asked, Loaded, Step, is_settled, report, steps};
use super::{Adapters, tuned};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Longest file that is read. A ConfigMap can hold as much.
const LONGEST: u64 = 1 << 20;

/// Keeps the adapters of one model as a file says.
pub struct Keeper {
    adapters: Arc<Adapters>,
    file: PathBuf,
    store: PathBuf,
    /// What the file said last, and its text.
    list: Option<WantedAdapters>,
    text: Option<String>,
    known: AllKnown,
    attempts: JoinSet<Attempt>,
    stops: BTreeMap<String, CancellationToken>,
}

/// How an attempt to load an adapter ended.
struct Attempt {
    name: String,
    asked: Asked,
    /// `None` when it was stopped.
    outcome: Option<Result<Loaded, String>>,
}

impl Keeper {
    /// Keeps `adapters` as `file` says; what is fetched comes below `store`.
    pub fn new(adapters: Arc<Adapters>, file: PathBuf, store: PathBuf) -> Self {
        Self {
            adapters,
            file,
            store,
            list: None,
            text: None,
            known: AllKnown::new(),
            attempts: JoinSet::new(),
            stops: BTreeMap::new(),
        }
    }

    /// Works for ever; `first` hears when each adapter is loaded or has failed once.
    pub async fn run(mut self, first: oneshot::Sender<()>) {
        let mut first = Some(first);
        let mut look = interval(LOOK);
        loop {
            self.read().await;
            self.step().await;
            if is_settled(self.wanted(), &self.known)
                && let Some(first) = first.take()
            {
                // Nobody waits any more while the worker stops.
                let _ = first.send(());
            }
            tokio::select! {
                _ = look.tick() => {}
                Some(ended) = self.attempts.join_next() => match ended {
                    Ok(attempt) => self.ended(attempt).await,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
            }
        }
    }

    fn wanted(&self) -> &[WantedAdapter] {
        self.list.as_ref().map_or(&[], |list| &list.adapters)
    }

    /// Reads the file; one that is no list changes nothing.
    async fn read(&mut self) {
        let file = self.file.clone();
        let text = match spawn_blocking(move || read(&file)).await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => {
                tracing::error!(file = %self.file.display(), %error, "failed to read which adapters are wanted");
                return;
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        if self.text.as_ref() == Some(&text) {
            return;
        }
        let list = match text.is_empty() {
            true => Ok(WantedAdapters::default()),
            false => serde_json::from_str(&text),
        };
        match list {
            Ok(list) => self.list = Some(list),
            Err(error) => tracing::error!(file = %self.file.display(), %error, "the list of adapters is none"),
        }
        self.text = Some(text);
        self.sweep().await;
    }

    async fn step(&mut self) {
        for step in steps(self.wanted(), &self.known, Instant::now()) {
            match step {
                Step::Bring(wanted) => self.bring(wanted),
                Step::Stop(name) => {
                    if let Some(stop) = self.stops.get(&name) {
                        stop.cancel();
                    }
                }
                Step::Remove(name) => {
                    if self.known.remove(&name).is_some_and(|known| known.loaded.is_some()) {
                        // Somebody may have deleted it by hand.
                        let _ = self.adapters.registry.remove(&name);
                        tracing::info!(adapter = name, "unloaded an adapter that is not wanted any more");
                    }
                    self.sweep().await;
                }
            }
        }
        self.adapters.tell(self.list.as_ref().map(|list| AdaptersReport {
            id: list.id.clone(),
            adapters: report(&list.adapters, &self.known),
        }));
    }

    fn bring(&mut self, wanted: WantedAdapter) {
        let (name, asked) = (wanted.name.clone(), Asked::of(&wanted));
        self.known.entry(name.clone()).or_default().running = Some(asked.clone());
        let stop = CancellationToken::new();
        self.stops.insert(name.clone(), stop.clone());
        let (adapters, store) = (self.adapters.clone(), self.store.clone());
        self.attempts.spawn(async move {
            let found = tokio::select! {
                found = adapter::find(&wanted, &store) => Some(found),
                () = stop.cancelled() => None,
            };
            let outcome = match found {
                Some(Ok(found)) => Some(load(adapters, wanted, found).await),
                Some(Err(failure)) => Some(Err(failure.to_string())),
                None => None,
            };
            Attempt { name, asked, outcome }
        });
    }

    async fn ended(&mut self, attempt: Attempt) {
        let Attempt { name, asked, outcome } = attempt;
        self.stops.remove(&name);
        match &outcome {
            Some(Ok(loaded)) => tracing::info!(adapter = name, digest = loaded.digest, "loaded an adapter"),
            Some(Err(message)) => {
                tracing::warn!(adapter = name, message, "failed to load an adapter; trying again later")
            }
            None => {}
        }
        let known = self.known.entry(name).or_default();
        match outcome {
            Some(outcome) => known.ended(asked, outcome, Instant::now()),
            None => known.running = None,
        }
        self.sweep().await;
    }

    /// Removes what was fetched and is neither loaded nor wanted. What requests use is in memory.
    async fn sweep(&self) {
        let mut keys: BTreeSet<String> = self.wanted().iter().map(|wanted| wanted.key.clone()).collect();
        for known in self.known.values() {
            keys.extend(known.loaded.as_ref().map(|loaded| loaded.key.clone()));
            keys.extend(known.running.as_ref().map(|asked| asked.key.clone()));
        }
        let store = self.store.clone();
        let swept = spawn_blocking(move || sweep(&store, &keys)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(store = %self.store.display(), %error, "failed to remove adapters that nobody needs");
        }
    }
}

/// Loads what was found, and gives it its name: the requests under way keep the adapter that had it.
async fn load(adapters: Arc<Adapters>, wanted: WantedAdapter, found: adapter::Found) -> Result<Loaded, String> {
    let load = move || {
        check(&wanted, &found)?;
        let (registry, pin) = (&adapters.registry, wanted.digest.as_deref());
        let summary = registry.add_pinned(&wanted.name, &found.directory, pin);
        let summary = summary.map_err(|error| error.to_string())?;
        Ok(Loaded {
            key: wanted.key,
            digest: summary.id.prefixed(),
            revision: found.revision,
        })
    };
    match spawn_blocking(load).await {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Compares what a training has published with its manifest: a volume can lose what was written.
fn check(wanted: &WantedAdapter, found: &adapter::Found) -> Result<(), String> {
    let Some(digest) = wanted.output.as_deref() else {
        return Ok(());
    };
    let verified = tuned::verify(&found.directory, [Some(digest), None]);
    verified.map(drop).map_err(|error| {
        format!(
            "failed to load what a training has published as {}: {error:#}",
            wanted.name
        )
    })
}

/// The text of the file; none is an empty one.
fn read(file: &std::path::Path) -> io::Result<String> {
    let length = match std::fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        found => found?.len(),
    };
    if length > LONGEST {
        return Err(io::Error::other(format!("it has {length} bytes, more than {LONGEST}")));
    }
    std::fs::read_to_string(file)
}

fn sweep(store: &std::path::Path, keys: &BTreeSet<String>) -> io::Result<()> {
    let entries = match std::fs::read_dir(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let is_needed = entry.file_name().to_str().is_some_and(|name| keys.contains(name));
        if !is_needed && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_training_has_published_has_a_manifest_to_go_by() {
        let dir = tempfile::tempdir().unwrap();
        let found = adapter::Found {
            directory: dir.path().to_owned(),
            revision: None,
        };
        let wanted = |output: Option<&str>| {
            let source = json!({"mounted": {"mount": "/m"}});
            serde_json::from_value(json!({"name": "tone", "key": "k", "source": source, "output": output})).unwrap()
        };
        assert_eq!(check(&wanted(None), &found), Ok(()));
        let error = check(&wanted(Some("sha256:00")), &found).unwrap_err();
        assert!(error.contains("tone") && error.contains("manifest.json"), "{error}");
    }
}
