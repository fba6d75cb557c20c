//! The end: what came of it is measured, judged and published.

use std::path::Path;

use protocol::{
    SuiteScore,
    tune::{Gate, GateReference, MANIFEST, OutputManifest, TrainFailure, TrainOutcome, TrainReport, TrainSample},
};
use train::Weights;

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
        let suites = self.asker.scores(&Candidate::Output(output.directory(), output.kind))?;
        let mut reference_loss = state.before.loss;
        let gate = match &plan.gate {
            None => None,
            Some(gate) => {
                let reference =
                    self.reference(gate, state.before.loss, &dataset.digest, dataset.validation.as_ref())?;
                let own = Evidence {
                    loss: eval_loss,
                    suites: &suites,
                };
                let other = Evidence {
                    loss: reference.loss,
                    suites: &reference.suites,
                };
                reference_loss = reference.loss;
                let mut outcome = gate::judge(gate, own, other);
                outcome.reason += reference.note;
                Some(outcome)
            }
        };
        let report = TrainReport {
            digest: output.digest.clone(),
            kind: output.kind,
            steps,
            stopped_early: state.stopped,
            first_loss: state.first_loss(),
            last_loss: state.last_loss(),
            eval_loss,
            reference_loss,
            general_perplexity: state.before.perplexity.zip(perplexity),
            tokens: state.tokens,
            seconds: state.seconds.ceil() as u64,
            gate,
            suites,
        };
        if let Some(gate) = &report.gate {
            tracing::info!("the gate: {}", gate.reason);
            if !gate.passed {
                return Ok(TrainOutcome::Rejected(report));
            }
        }
        reporter.stage("Publishing");
        let manifest = OutputManifest {
            digest: output.digest.clone(),
            kind: output.kind,
            files: output.files.clone(),
            run: plan.run.clone(),
            dataset: dataset.digest.clone(),
            base: Some(self.base),
            report: report.clone(),
            samples,
        };
        let place = output.publish(&plan.outputs, &manifest, self.events)?;
        tracing::info!(digest = report.digest, "published {}", place.display());
        Ok(TrainOutcome::Published(report))
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
