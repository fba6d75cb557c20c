//! The steps: the embedding, each block, the head. After each, what is finished is on the disk.

use std::time::Instant;

use engine::{
    ModelConfig,
    blocks::{HeadLoss, Positions, normed},
};
use gguf::TensorInfo;
use protocol::{Progress, Stage};
use tch::{Kind, Tensor};

use crate::{
    Error, Options,
    calibration::Windows,
    inputs::{Collector, Needs},
    output::Output,
    plan::Plan,
    prune,
    quantize::{Task, decode, encode},
    source::{EMBEDDING, Source},
    states::States,
    store::{Journal, Store, Work},
};

const NORM: &str = "output_norm.weight";
const HEAD: &str = "output.weight";

/// Bytes that a run takes in the store, the result among them.
pub(super) fn needed(plan: &Plan, windows: &Windows, config: &ModelConfig, options: &Options) -> u64 {
    // Two sets of states: the new ones are written before the old ones go.
    plan.layout.size() + 2 * States::bytes(windows, config, Needs::of(options).any)
}

/// One model under way.
pub(super) struct Run<'a> {
    source: &'a Source,
    options: &'a Options,
    work: &'a Work,
    windows: Windows,
    plan: Plan,
    needs: Needs,
    output: Output,
    positions: Positions,
    journal: Journal,
    on_progress: &'a mut dyn FnMut(Progress),
    needed: u64,
    store: &'a Store,
}

impl<'a> Run<'a> {
    /// Checks that there is room for the result, and takes it.
    pub fn start(
        source: &'a Source,
        options: &'a Options,
        windows: Windows,
        plan: Plan,
        store: &'a Store,
        work: &'a Work,
        on_progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, Error> {
        let config = source.config();
        let needed = needed(&plan, &windows, config, options);
        let free =
            artifacts::space::free_bytes(store.dir()).map_err(Error::io("read the free space of", store.dir()))?;
        if needed > free + Output::taken(&work.file()) {
            return Err(Error::NoSpace {
                store: store.dir().to_owned(),
                needed,
                free: Some(free),
            });
        }
        let output = Output::open(&work.file(), &plan.layout);
        let output = output.map_err(|error| error.or_no_space(store.dir(), needed))?;
        Ok(Self {
            positions: Positions::new(config, windows.held_out[0].len())?,
            source,
            options,
            work,
            windows,
            plan,
            needs: Needs::of(options),
            output,
            journal: Journal::default(),
            on_progress,
            needed,
            store,
        })
    }

    /// Size of the result.
    pub fn bytes(&self) -> u64 {
        self.plan.layout.size()
    }

    /// Does what is not done yet; returns the perplexities before and after.
    pub fn all(&mut self) -> Result<(f64, f64), Error> {
        let result = self.try_all();
        result.map_err(|error| error.or_no_space(self.store.dir(), self.needed))
    }

    /// Gives the result its final name; returns its digest.
    pub fn publish(&mut self, store: &Store) -> Result<String, Error> {
        let result = self.try_publish(store);
        result.map_err(|error| error.or_no_space(self.store.dir(), self.needed))
    }

    fn try_all(&mut self) -> Result<(f64, f64), Error> {
        let layers = self.source.config().layers;
        let mut states = self.resume()?;
        if let Some((before, after)) = &self.journal.perplexities {
            let number = |text: &str| text.parse().unwrap_or(f64::NAN);
            return Ok((number(before), number(after)));
        }
        let mut states = match states.take() {
            Some(states) => states,
            None => self.embedding()?,
        };
        for index in self.journal.steps.len() - 1..layers {
            self.block(index, &mut states)?;
        }
        let (before, after) = self.head(&states)?;
        self.journal.perplexities = Some((before.to_string(), after.to_string()));
        self.work.write_journal(&self.journal)?;
        Ok((before, after))
    }

    fn try_publish(&mut self, store: &Store) -> Result<String, Error> {
        if let Some(digest) = &self.journal.digest
            && store.holds(digest)
        {
            return Ok(digest.clone());
        }
        self.output.sync()?;
        let digest = self.output.digest()?;
        self.journal.digest = Some(digest.clone());
        self.work.write_journal(&self.journal)?;
        store.publish(&self.work.artifact(), &digest)?;
        Ok(digest)
    }

    /// Takes over what an earlier run finished: all of it, or nothing if a part is damaged.
    fn resume(&mut self) -> Result<Option<States>, Error> {
        let journal = self.work.journal();
        if let Some(digest) = &journal.digest
            && self.store.holds(digest)
        {
            self.journal = journal;
            return Ok(None);
        }
        let count = journal.steps.len();
        for (step, expected) in journal.steps.iter().enumerate() {
            if self.output.digest_of(self.tensors(step))? != *expected {
                tracing::warn!("step {step} of the earlier run is damaged; starting anew");
                return Ok(None);
            }
        }
        if journal.perplexities.is_some() {
            self.journal = journal;
            return Ok(None);
        }
        let Some(bytes) = self.work.states(count) else {
            return Ok(None);
        };
        let states = States::from_bytes(&bytes, &self.windows, self.source.config(), self.needs.any)?;
        if states.is_some() && count > 0 {
            tracing::info!("going on after {count} finished steps");
            self.journal = journal;
            return Ok(states);
        }
        Ok(None)
    }

    /// The tensors that a step writes.
    fn tensors(&self, step: usize) -> impl Iterator<Item = &TensorInfo> {
        let layers = self.source.config().layers;
        let block = (1..=layers).contains(&step).then(|| self.plan.prefix(step - 1));
        self.plan.layout.tensors().iter().filter(move |info| match &block {
            Some(Some(prefix)) => info.name.starts_with(prefix),
            // The block is left out.
            Some(None) => false,
            None if step == 0 => info.name == EMBEDDING,
            None => !info.name.starts_with("blk.") && info.name != EMBEDDING,
        })
    }

    /// Marks a step as done, with the states after it.
    fn done(&mut self, states: Option<&States>) -> Result<(), Error> {
        let step = self.journal.steps.len();
        self.output.sync()?;
        let digest = self.output.digest_of(self.tensors(step))?;
        if let Some(states) = states {
            self.work.write_states(step + 1, states.to_bytes()?)?;
        }
        self.journal.steps.push(digest);
        self.work.write_journal(&self.journal)?;
        self.work.drop_other_states(step + 1);
        Ok(())
    }

    fn report(&mut self, stage: Stage, layers: usize) {
        let all = self.plan.layout.tensors().iter();
        let done = (0..self.journal.steps.len()).flat_map(|step| self.tensors(step));
        let progress = Progress {
            stage,
            bytes: done.map(|info| info.bytes).sum(),
            total: Some(all.map(|info| info.bytes).sum()),
            bytes_per_second: 0,
            layers: Some(layers as u64),
            total_layers: Some(self.source.config().layers as u64),
        };
        (self.on_progress)(progress);
    }

    fn embedding(&mut self) -> Result<States, Error> {
        self.report(Stage::Converting, 0);
        let info = self.plan.layout.tensor(EMBEDDING)?;
        let row_bytes = info.bytes / info.shape[0];
        for (first, count) in self.source.pieces(EMBEDDING)? {
            let rows = self.source.rows(EMBEDDING, first, count)?;
            let bytes = encode(EMBEDDING, &rows, info.ggml_type)?;
            self.output.write(info, first * row_bytes, &bytes)?;
        }
        let embed = |window: &[u32]| {
            let before = self.source.embedded(window)?;
            let after = decode(info, &encode(EMBEDDING, &before, info.ggml_type)?)?;
            Ok((before, after))
        };
        let states = States::new(&self.windows, self.source.config(), self.needs.any, embed)?;
        self.done(Some(&states))?;
        Ok(states)
    }

    fn block(&mut self, index: usize, states: &mut States) -> Result<(), Error> {
        let started = Instant::now();
        let source = self.source;
        let config = source.config();
        let mut block = source.block(index)?;
        let prefix = self.plan.prefix(index);

        let mut inputs = Default::default();
        if self.needs.any && prefix.is_some() {
            self.report(Stage::Calibrating, index);
            let tokens = self.windows.held_out[0].len();
            let mut collector = Collector::new(self.needs, self.windows.calibration.len(), tokens);
            states.observe(&block, config, &self.positions, |layer, input| {
                Ok(collector.add(layer, input)?)
            })?;
            inputs = collector.finish();
        }
        self.report(Stage::Evaluating, index);
        States::advance(&mut states.before, &block, config, &self.positions)?;

        // What comes before a layer that is left out goes on to the next one as it is.
        if let Some(prefix) = prefix {
            self.report(Stage::Quantizing, index);
            let kept = prune::block(&mut block, &mut inputs, self.options, self.plan.feed_forward)?;
            let task = Task {
                options: self.options,
                config,
                inputs: &inputs,
                kept: &kept,
            };
            let target = |name: &str| Ok(self.plan.layout.tensor(&format!("{prefix}{name}"))?);
            task.run(&mut block, target, |info, bytes| self.output.write(info, 0, bytes))?;
            drop(inputs);

            States::advance(&mut states.calibration, &block, config, &self.positions)?;
            States::advance(&mut states.after, &block, config, &self.positions)?;
        }
        self.done(Some(states))?;
        let took = started.elapsed().as_secs_f64();
        tracing::info!("block {} of {} is done after {took:.1} s", index + 1, config.layers);
        Ok(())
    }

    /// Writes what follows the blocks and computes both perplexities.
    fn head(&mut self, states: &States) -> Result<(f64, f64), Error> {
        self.report(Stage::Evaluating, self.source.config().layers);
        let norm = self.source.tensor(NORM)?;
        let info = self.plan.layout.tensor(NORM)?;
        self.output.write(info, 0, &encode(NORM, &norm, info.ggml_type)?)?;

        let name = if self.source.header().tensor(HEAD).is_ok() {
            HEAD
        } else {
            EMBEDDING
        };
        let info = self.plan.layout.tensor(name)?;
        let row_bytes = info.bytes / info.shape[0];
        let mut before = self.loss(&states.before, &norm)?;
        let mut after = self.loss(&states.after, &norm)?;
        for (first, count) in self.source.pieces(name)? {
            let rows = self.source.rows(name, first, count)?;
            before.add(first as i64, &rows)?;
            let bytes = encode(name, &rows, info.ggml_type)?;
            if name == HEAD {
                self.output.write(info, first * row_bytes, &bytes)?;
            }
            after.add(first as i64, &decode(info, &bytes)?)?;
        }
        self.done(None)?;
        let targets: usize = self.windows.held_out.iter().map(|window| window.len() - 1).sum();
        let perplexity =
            |loss: &HeadLoss| -> Result<f64, Error> { Ok((loss.negative_log_likelihood()? / targets as f64).exp()) };
        Ok((perplexity(&before)?, perplexity(&after)?))
    }

    /// Of all held-out windows: each token but the first is a target.
    fn loss(&self, states: &[Tensor], norm: &Tensor) -> Result<HeadLoss, Error> {
        let inputs = states
            .iter()
            .map(|state| state.f_narrow(0, 0, state.size()[0] - 1)?.f_to_kind(Kind::Float));
        let hidden = Tensor::f_cat(&inputs.collect::<Result<Vec<_>, _>>()?, 0)?;
        let targets = self.windows.held_out.iter().flat_map(|window| &window[1..]);
        let targets: Vec<i64> = targets.map(|token| i64::from(*token)).collect();
        Ok(HeadLoss::new(normed(self.source.config(), &hidden, norm)?, &targets)?)
    }
}
