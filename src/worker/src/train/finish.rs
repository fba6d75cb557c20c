//! The end: what came of it is measured, judged and published.

use std::{path::Path, sync::atomic::Ordering};

use protocol::{
    SuiteScore,
    tune::{
        Gate, GateOutcome, GateReference, MANIFEST, OutputManifest, TrainFailure, TrainOutcome, TrainReport,
        TrainSample,
    },
};
use train::{Weights, collective::Alone};

use super::{
    data::Tokens,
    failure::{of_train, permanent, reasons},
    gate::{self, Evidence},
    measure,
    publish::Output,
    samples,
    session::Session,
    suites::{Asker, Candidate},
};

/// What is needed beside the session.
pub struct Finish<'a> {
    /// Digest of the base.
    pub base: String,
    /// What TensorBoard shows.
    pub events: &'a Path,
    /// Asks suites.
    pub asker: &'a Asker<'a>,
}

/// What the gate compares with.
struct Reference {
    loss: Option<f64>,
    suites: Vec<SuiteScore>,
    /// What has to be known beside the numbers.
    note: &'static str,
}

impl Finish<'_> {
    /// Publishes what was learned, unless the gate keeps it.
    ///
    /// # Errors
    /// When something cannot be computed, asked or written.
    pub fn run(self, mut session: Session<'_>) -> Result<TrainOutcome, TrainFailure> {
        let plan = session.plan;
        session.reporter.stage("Evaluating");
        let steps = best(&mut session)?;
        let eval_loss = session.state.best.or(session.state.measured).map(|it| it.loss);
        if !session.trainer.is_finite().map_err(of_train)? {
            measure::finite("a weight that was trained", f64::NAN)?;
        }
        let Some(test_loss) = test_loss(&session)? else {
            return Ok(TrainOutcome::Interrupted(session.reporter.progress()));
        };
        let (perplexity, samples) = beside_base(&session)?;
        let output = Output::write(&session.trainer, plan)?;
        session.reporter.flush();
        let Session {
            trainer,
            state,
            reporter,
            dataset,
            ..
        } = session;
        // The engine needs the memory.
        drop(trainer);
        let mut manifest = OutputManifest {
            digest: output.digest.clone(),
            kind: output.kind,
            files: output.files.clone(),
            run: plan.run.clone(),
            dataset: dataset.digest.clone(),
            base: Some(self.base.clone()),
            report: TrainReport {
                digest: output.digest.clone(),
                kind: output.kind,
                steps,
                stopped_early: state.stopped,
                first_loss: state.first_loss(),
                last_loss: state.last_loss(),
                eval_loss,
                reference_loss: state.before.loss,
                test_loss,
                general_perplexity: state.before.perplexity.zip(perplexity),
                tokens: state.tokens,
                seconds: state.seconds.ceil() as u64,
                gate: None,
                suites: Vec::new(),
            },
            samples,
        };
        // It is asked as it will be served: by its manifest.
        output.describe(&manifest)?;
        manifest.report.suites = self.asker.scores(&Candidate::Output(output.directory(), output.kind))?;
        self.judge(&mut manifest.report, &dataset.digest, dataset.validation.as_ref())?;
        let report = manifest.report.clone();
        if let Some(gate) = &report.gate {
            tracing::info!("the gate: {}", gate.reason);
            if !gate.passed {
                return Ok(TrainOutcome::Rejected(report));
            }
        }
        reporter.stage("Publishing");
        let place = output.publish(&plan.outputs, &manifest, self.events)?;
        tracing::info!(digest = report.digest, "published {}", place.display());
        Ok(TrainOutcome::Published(report))
    }

    /// Lets the gate judge what is known of a result.
    fn judge(&self, report: &mut TrainReport, dataset: &str, validation: Option<&Tokens>) -> Result<(), TrainFailure> {
        let plan = self.asker.plan;
        let gate = plan.gate.as_ref();
        let reference = gate.map(|gate| self.reference(gate, report.reference_loss, dataset, validation));
        let reference = reference.transpose()?;
        let own = Evidence {
            loss: report.eval_loss,
            suites: &report.suites,
        };
        let compared = gate.zip(reference.as_ref()).map(|(gate, reference)| {
            let other = Evidence {
                loss: reference.loss,
                suites: &reference.suites,
            };
            (gate, other)
        });
        let outcome = gate::judge(own, compared, &plan.suite_limits);
        if let Some(reference) = reference {
            report.reference_loss = reference.loss;
            report.gate = outcome.map(|outcome| GateOutcome {
                reason: outcome.reason + reference.note,
                ..outcome
            });
        } else {
            report.gate = outcome;
        }
        Ok(())
    }

    fn reference(
        &self,
        gate: &Gate,
        base: Option<f64>,
        dataset: &str,
        validation: Option<&Tokens>,
    ) -> Result<Reference, TrainFailure> {
        let current = match gate.against {
            GateReference::Current => gate.current.as_deref(),
            GateReference::Base => None,
        };
        let Some(current) = current else {
            let suites = self.asker.scores(&Candidate::Base)?;
            return Ok(Reference {
                loss: base,
                suites,
                note: "",
            });
        };
        let manifest = manifest(current)?;
        let suites = self.asker.scores(&Candidate::Output(current, manifest.kind))?;
        let known = manifest.report.eval_loss.filter(|_| manifest.dataset == dataset);
        let loss = match (known, validation) {
            (Some(loss), _) => Some(loss),
            (None, Some(validation)) => self.asker.loss(current, manifest.kind, validation)?,
            (None, None) => None,
        };
        Ok(match (loss, validation) {
            (None, Some(_)) => Reference {
                loss: base,
                suites,
                note: " (the loss of the current output on these data cannot be measured: the base's is taken)",
            },
            _ => Reference { loss, suites, note: "" },
        })
    }
}

/// Goes back to the best state, if that was asked for; returns its step.
fn best(session: &mut Session<'_>) -> Result<u64, TrainFailure> {
    let now = session.trainer.step_number();
    if let Some(best) = session.state.best.filter(|best| best.step != now) {
        let directory = session.checkpoints.path(best.step);
        tracing::info!(step = best.step, loss = best.loss, "going back to the best state");
        session.trainer.load(&directory).map_err(of_train)?;
    }
    Ok(now)
}

/// The loss of the result on the test part, if there is one; nothing if it was stopped.
fn test_loss(session: &Session<'_>) -> Result<Option<Option<f64>>, TrainFailure> {
    let Some(tokens) = &session.dataset.test else {
        return Ok(Some(None));
    };
    let stopped = || session.stop.load(Ordering::Relaxed);
    let (trainer, part, batching) = (&session.trainer, ("test", tokens), &session.batching);
    // The other processes have gone.
    let loss = measure::mean(trainer, part, batching, Weights::Tuned, &mut Alone, &stopped)?;
    if let Some(loss) = loss {
        tracing::info!(loss, "measured on the test part");
    }
    Ok(loss.map(Some))
}

/// Perplexity and answers of the result, where those of the base are known.
fn beside_base(session: &Session<'_>) -> Result<(Option<f64>, Vec<TrainSample>), TrainFailure> {
    let Session {
        trainer,
        renderer,
        batching,
        state,
        questions,
        ..
    } = session;
    if state.before.perplexity.is_none() {
        return Ok((None, Vec::new()));
    }
    let perplexity = measure::general(trainer, renderer.tokenizer, batching, renderer.length, Weights::Tuned)?;
    let perplexity = measure::finite("the perplexity of the result on general text", perplexity)?;
    let samples = samples::after(trainer, questions, renderer, &state.before.samples)?;
    Ok((Some(perplexity), samples))
}

fn manifest(output: &Path) -> Result<OutputManifest, TrainFailure> {
    let path = output.join(MANIFEST);
    let read = std::fs::read(&path).map_err(|error| error.to_string());
    let manifest = read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    manifest.map_err(|why: String| {
        let message = format!("failed to read the current output {}: {why}", path.display());
        permanent(reasons::INVALID_PLAN, message)
    })
}
