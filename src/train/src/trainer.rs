//! A training, step by step.

#[cfg(test)]
mod for_tests;

use std::{cell::RefCell, collections::BTreeMap, path::Path};

use checkpoint::Checkpoint;
use protocol::tune::{Method, Objective, OutputKind, TrainPlan};

use crate::{
    Error, Sequence, Work,
    collective::Group,
    gradients,
    method::{Dropout, Parts},
    network::{Network, Pass},
    objective::{Learner, METRICS, Outcome, preferences},
    optimizer::Optimizer,
    output,
    parameters::Parameters,
    schedule,
    setup::{self, Setup},
    state,
};

/// A training: the base, what is trained of it or beside it, and what the optimizer remembers. It owns all tensors, and
/// one thread uses it.
pub struct Trainer {
    base: Checkpoint,
    plan: TrainPlan,
    total_steps: u64,
    network: Network,
    parameters: Parameters,
    parts: Parts,
    optimizer: Optimizer,
    step: u64,
    /// The base as it was, where training changes it: read when somebody asks for it first.
    unchanged: RefCell<Option<Network>>,
    /// What it has beside it.
    nothing: (Parameters, Parts),
}

/// Which weights are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Those of the base; for [`Method::Pretrain`], those that the training began with.
    Base,
    /// Those that were trained.
    Tuned,
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Mean loss over the whole group, before the weights changed.
    pub loss: f64,
    /// Norm of the gradient before it was clipped.
    pub gradient_norm: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Tokens of input, over the whole group.
    pub tokens: u64,
    /// What the loss was averaged over: targets or pairs, over the whole group.
    pub weight: f64,
    /// Further means: of pairs, their rewards.
    pub metrics: BTreeMap<&'static str, f64>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Sum of the losses.
    pub loss: f64,
    /// What it is to be divided by: targets or pairs.
    pub weight: f64,
    /// Targets that were the likeliest tokens, or pairs with the better answer first.
    pub correct: u64,
}

impl Trainer {
    /// Loads the base (or initializes a model from scratch) and puts the method's parameters beside it.
    ///
    /// # Errors
    /// When the plan asks for what cannot be, or the base is damaged or not supported.
    pub fn new(base: Checkpoint, plan: &TrainPlan, total_steps: u64) -> Result<Self, Error> {
        let Setup {
            network,
            parameters,
            parts,
        } = setup::setup(&base, plan)?;
        let settings = &plan.hyperparameters;
        Ok(Self {
            optimizer: Optimizer::new(settings.optimizer, settings.weight_decay, &parameters)?,
            base,
            plan: plan.clone(),
            total_steps,
            network,
            parameters,
            parts,
            step: 0,
            unchanged: RefCell::new(None),
            nothing: (Parameters::default(), Parts::None),
        })
    }

    /// Changes of the weights so far.
    pub fn step_number(&self) -> u64 {
        self.step
    }

    /// Changes of the weights in all.
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// How many numbers are trained.
    pub fn trained_numbers(&self) -> u64 {
        self.parameters.all().iter().map(|it| it.value.numel() as u64).sum()
    }

    /// One change of the weights. Gradients of all `work` (the batches of this process) are added up over the group,
    /// divided by the targets or pairs of the whole step, clipped, and applied. What dropout leaves out follows from the
    /// plan's seed, the step, the process and the batch. A step without any target changes nothing and counts.
    ///
    /// # Errors
    /// When a loss or gradient is not finite (the weights are as before), another process is lost, or libtorch fails.
    pub fn step(&mut self, work: &[Work], group: &mut dyn Group) -> Result<StepReport, Error> {
        let rank = group.rank() as u64;
        self.parameters.zero_gradients();
        let mut total = Outcome::default();
        let mut broken = None;
        for (index, work) in work.iter().enumerate() {
            let outcome = self.learn(work, rank, index)?;
            if !outcome.loss.is_finite() {
                broken.get_or_insert(index);
            }
            total.add(&outcome);
        }
        let mut gradients = self.parameters.gradients()?;
        if broken.is_none() && !gradients::finite(&gradients)? {
            broken = Some(self.find_broken(work, rank)?);
        }
        let tokens: usize = work.iter().map(Work::tokens).sum();
        // Every process tells in a place of its own which batch is broken.
        let mut sums = vec![total.loss, total.weight, tokens as f64, work.len() as f64];
        sums.extend(total.metrics);
        let places = sums.len();
        sums.resize(places + group.size(), 0.0);
        if let Some(index) = broken {
            sums[0] = 0.0;
            sums[places + group.rank()] = (index + 1) as f64;
        }
        gradients::sum(&mut sums, group)?;
        let (loss, weight) = (sums[0], sums[1]);
        let broken = |batch: usize| Error::NotFinite { step: self.step, batch };
        if let Some((rank, index)) = sums[places..].iter().enumerate().find(|(_, index)| **index > 0.0) {
            // Processes have about as many batches each.
            return Err(broken(rank * work.len() + *index as usize - 1));
        }
        gradients::reduce(&mut gradients, group)?;
        let share = schedule::share(
            self.plan.hyperparameters.schedule,
            self.plan.hyperparameters.warmup,
            self.step,
            self.total_steps,
        );
        let learning_rate = self.plan.hyperparameters.learning_rate * share;
        let mut report = StepReport {
            learning_rate,
            tokens: sums[2] as u64,
            weight,
            ..StepReport::default()
        };
        if weight > 0.0 {
            let clip = self.plan.hyperparameters.clip;
            report.loss = loss / weight;
            report.gradient_norm = gradients::average_and_clip(&mut gradients, weight, clip)?;
            if !report.gradient_norm.is_finite() || !report.loss.is_finite() {
                return Err(broken(0));
            }
            if self.plan.objective == Objective::DPO {
                let means = sums[4..places].iter().map(|sum| sum / weight);
                report.metrics = METRICS.into_iter().zip(means).collect();
            }
            self.optimizer
                .apply(&mut self.parameters, &gradients, learning_rate, self.step)?;
        }
        self.step += 1;
        Ok(report)
    }

    /// Measures without learning; with [`Weights::Base`] the method's parameters are switched off.
    ///
    /// # Errors
    /// When a text is not of this model, the base cannot be read again, or libtorch fails.
    pub fn measure(&self, work: &Work, weights: Weights) -> Result<Measured, Error> {
        let outcome = match work {
            Work::Texts(rows) => self.with(weights, |learner| learner.measure_texts(&texts(rows)))?,
            Work::Pairs(pairs) => {
                let base = self.with(Weights::Base, |learner| learner.measure_pairs(pairs))?;
                let mine = match weights {
                    Weights::Base => base.clone(),
                    Weights::Tuned => self.with(weights, |learner| learner.measure_pairs(pairs))?,
                };
                preferences(&mine, &base, setup::beta(&self.plan)).0
            }
        };
        Ok(Measured {
            loss: outcome.loss,
            weight: outcome.weight,
            correct: outcome.correct,
        })
    }

    /// The likeliest continuation of a prompt, up to `most` tokens, or to the first of `ends`, which is left out. For
    /// short samples: every token computes the whole text again.
    ///
    /// # Errors
    /// When there is no prompt, a token is not of this model, or libtorch fails.
    pub fn generate(&self, prompt: &[i64], most: usize, ends: &[i64], weights: Weights) -> Result<Vec<i64>, Error> {
        if prompt.is_empty() {
            return Err(Error::Work("the prompt has no tokens".into()));
        }
        let context = self.network.config.context_length;
        self.with(weights, |learner| {
            let before = learner.pass.parts.virtual_tokens() as usize;
            let mut tokens = prompt.to_vec();
            while tokens.len() < prompt.len() + most && before + tokens.len() < context {
                let next = learner.next(&tokens)?;
                if ends.contains(&next) {
                    break;
                }
                tokens.push(next);
            }
            Ok(tokens.split_off(prompt.len()))
        })
    }

    /// Whether everything that is trained is a number: steps look at losses and gradients, before the weights change.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn is_finite(&self) -> Result<bool, Error> {
        let all = self.parameters.all().iter();
        let values: Vec<_> = all.map(|parameter| parameter.value.shallow_clone()).collect();
        Ok(gradients::finite(&values)?)
    }

    /// Writes the whole state into `directory`, which exists: what is trained, what the optimizer remembers, and the
    /// step. Equal states make equal bytes. That it outlives a crash is the caller's concern.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save(&self, directory: &Path) -> Result<(), Error> {
        let header = state::Header::new(&self.plan, self.total_steps, self.step);
        state::save(directory, &header, &self.parameters, &self.optimizer)
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// When a file cannot be read, or the state is of another plan: what differs is named. The state is as before then,
    /// unless a file is damaged.
    pub fn load(&mut self, directory: &Path) -> Result<(), Error> {
        let expected = state::Header::new(&self.plan, self.total_steps, 0);
        self.step = state::load(directory, &expected, &mut self.parameters, &mut self.optimizer)?;
        Ok(())
    }

    /// Writes what is published into `directory`, which exists: files of the `peft` library (LoRA, QLoRA, Prefix), our
    /// own (Adapter), or weights with `config.json` (Full, Pretrain), for which tokenizer files are the caller's.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn write_output(&self, directory: &Path, base_name: &str) -> Result<OutputKind, Error> {
        let published = output::Published {
            directory,
            base_name,
            network: &self.network,
            parameters: &self.parameters,
            plan: &self.plan,
            base: self.base.header(),
        };
        match &self.parts {
            Parts::None => output::weights(published).map(|()| OutputKind::Weights),
            Parts::LowRank(low_rank) => output::low_rank(published, low_rank).map(|()| OutputKind::Adapter),
            Parts::Bottleneck(bottleneck) => output::bottleneck(published, bottleneck).map(|()| OutputKind::Adapter),
            Parts::Prefix(prefix) => output::prefix(published, prefix).map(|()| OutputKind::Adapter),
        }
    }

    /// Gradients of one batch, beside those that have gathered.
    fn learn(&self, work: &Work, rank: u64, index: usize) -> Result<Outcome, Error> {
        let settings = &self.plan.hyperparameters;
        let dropout = (settings.dropout > 0.0).then_some(Dropout {
            share: settings.dropout,
            seed: settings.seed,
            moment: (self.step, rank << 32 | index as u64),
        });
        let learner = Learner {
            network: &self.network,
            pass: Pass {
                parameters: &self.parameters,
                parts: &self.parts,
                dropout,
            },
            // Weights of four bits are wide for as long as their block is computed.
            by_block: settings.gradient_checkpointing || self.plan.method == Method::QLoRA,
        };
        match work {
            Work::Texts(rows) => learner.texts(&texts(rows)),
            Work::Pairs(pairs) => {
                let base = self.with(Weights::Base, |learner| learner.measure_pairs(pairs))?;
                learner.pairs(pairs, setup::beta(&self.plan), &base)
            }
        }
    }

    /// The first batch whose gradient is not finite, computed again.
    fn find_broken(&mut self, work: &[Work], rank: u64) -> Result<usize, Error> {
        for (index, each) in work.iter().enumerate() {
            self.parameters.zero_gradients();
            self.learn(each, rank, index)?;
            if !gradients::finite(&self.parameters.gradients()?)? {
                return Ok(index);
            }
        }
        // Each for itself is finite, and their sum is not.
        Ok(work.len().saturating_sub(1))
    }

    /// Computes with one of the two, without dropout.
    fn with<T>(&self, weights: Weights, compute: impl FnOnce(Learner<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let changed = matches!(self.plan.method, Method::Full | Method::Pretrain);
        let mut unchanged = self.unchanged.borrow_mut();
        if weights == Weights::Base && changed && unchanged.is_none() {
            *unchanged = Some(setup::frozen(&self.base, &self.plan)?);
        }
        let (parameters, parts) = match weights {
            Weights::Base => (&self.nothing.0, &self.nothing.1),
            Weights::Tuned => (&self.parameters, &self.parts),
        };
        let network = match (weights, &*unchanged) {
            (Weights::Base, Some(unchanged)) => unchanged,
            _ => &self.network,
        };
        compute(Learner {
            network,
            pass: Pass {
                parameters,
                parts,
                dropout: None,
            },
            by_block: false,
        })
    }
}

impl Outcome {
    fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.weight += other.weight;
        self.correct += other.correct;
        for (sum, more) in self.metrics.iter_mut().zip(other.metrics) {
            *sum += more;
        }
    }
}

fn texts(rows: &[Vec<Sequence>]) -> Vec<&Sequence> {
    rows.iter().flatten().collect()
}
