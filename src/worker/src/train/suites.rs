//! Suites of questions, asked by the engine that serves: of the base, and of outputs beside it.

use std::path::Path;

use engine::Device;
use protocol::{
    SuiteScore,
    tune::{OutputKind, TrainFailure, TrainPlan},
};
use tokio::runtime::Handle;

use super::{
    durable::{self, Temporary},
    failure::{io_at, of_prepare},
};
use crate::{cli, evaluate};

/// Questions that are computed at the same time.
const AT_ONCE: u64 = 8;
/// Longest conversation, in tokens.
const CONTEXT: u64 = 4096;
/// How directories of files that the engine wants are named.
const SCRATCH: &str = "suites-of-";

/// The file of a chat template in such a directory.
const TEMPLATE: &str = "template.jinja";

/// Who is asked.
pub enum Candidate<'a> {
    /// The base.
    Base,
    /// What lies in a directory, with its manifest.
    Output(&'a Path, OutputKind),
}

/// Asks the suites of a plan.
pub struct Asker<'a> {
    /// What is asked.
    pub plan: &'a TrainPlan,
    /// Longest context of the base.
    pub context_length: usize,
    /// Threads to compute with.
    pub threads: Option<u64>,
    /// Where answers are waited for.
    pub runtime: Handle,
}

/// The name of the directory that a run has for such files.
pub fn scratch(run: &str) -> String {
    format!("{SCRATCH}{run}")
}

impl Asker<'_> {
    /// Checks that the suites can be read: better before a training than after it.
    ///
    /// # Errors
    /// Which one cannot.
    pub fn check(&self) -> Result<(), TrainFailure> {
        evaluate::check(&self.plan.suites).map_err(of_prepare)
    }

    /// The scores of a candidate; none without suites.
    ///
    /// # Errors
    /// When it cannot be loaded or asked.
    pub fn scores(&self, candidate: &Candidate<'_>) -> Result<Vec<SuiteScore>, TrainFailure> {
        if self.plan.suites.is_empty() {
            return Ok(Vec::new());
        }
        let (path, tuned) = match *candidate {
            Candidate::Base => (self.plan.model.as_path(), None),
            Candidate::Output(directory, OutputKind::Weights) => (directory, None),
            // Beside the base of today, whatever it was trained on.
            Candidate::Output(directory, OutputKind::Adapter) => (self.plan.model.as_path(), Some(directory.into())),
        };
        let template = self.template()?;
        let model = cli::Model {
            path: path.into(),
            digest: None,
            context_length: Some(CONTEXT.min(self.context_length as u64)),
            max_concurrent_sequences: AT_ONCE,
            max_batch_tokens: None,
            kv_cache_tokens: None,
            dtype: None,
            device: Device::Cpu,
            cache_dir: None,
            weights_lock: None,
            damage_note: None,
            threads: self.threads,
            system_prompt: None,
            chat_template: template.as_ref().map(|scratch| scratch.path().join(TEMPLATE)),
            tuned,
            tuned_digest: None,
            tuned_base: None,
        };
        let scored = self.runtime.block_on(evaluate::score(model, &self.plan.suites));
        scored.map_err(of_prepare)
    }

    /// The plan's template in a file, as the engine wants it: it goes with the directory.
    fn template(&self) -> Result<Option<Temporary>, TrainFailure> {
        let Some(template) = &self.plan.template else {
            return Ok(None);
        };
        let scratch = durable::temporary(&self.plan.outputs.join(scratch(&self.plan.run)));
        let scratch = scratch.map_err(io_at("write to", &self.plan.outputs))?;
        let path = scratch.path().join(TEMPLATE);
        durable::write(&path, template.as_bytes()).map_err(io_at("write", &path))?;
        Ok(Some(scratch))
    }
}
