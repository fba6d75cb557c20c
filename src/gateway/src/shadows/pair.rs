//! One copy: it is sent, both answers are waited for and scored, and the numbers are kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ::shadow::{
    answer::{Answer, Failure, Outcome},
    copy::{self, Target},
    metric::{self, PairValue},
    score::{Asked, Format, Pair, Score},
};
use api::shadowdeployment::ComparedMetric;
use bytes::Bytes;
use protocol::shadows as wire;
use serde_json::Value;
use store::shadows::{self as kept, NewPair};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    Service, ask::Place, drops::Drop, experiment::Experiment, judge::Answers, likelihood, memory::Share, spec::Words,
    tap::Heard, words::Difference,
};
use crate::{catalog::Model, metrics::Operation};

/// A live answer that takes longer is not waited for.
const LIVE: Duration = Duration::from_secs(3600);

/// A request that was chosen.
pub struct Job {
    /// The model that is asked.
    pub model: Arc<Model>,
    /// The version of it that is compared.
    pub version: Option<String>,
    /// What for.
    pub operation: Operation,
    /// The body, as the model got it.
    pub body: Bytes,
    /// Who asked, where words are kept.
    pub asker: Option<String>,
    /// What it is kept together with.
    pub cluster: String,
    /// The live answer, once it has ended.
    pub heard: oneshot::Receiver<Arc<Heard>>,
    /// Whether the serving version is asked once more.
    pub has_baseline: bool,
    /// Its share of the memory for copies.
    pub share: Share,
}

/// Both answers, and all that is needed to score them.
struct Measured {
    request: Value,
    primary: Answer,
    candidate: Answer,
    baseline: Option<Answer>,
    asked: Asked,
    timeout: f64,
    metrics: Vec<ComparedMetric>,
    model: Arc<Model>,
}

impl Service {
    /// Sends the copies of a comparison until it ends.
    pub(super) async fn run(self: Arc<Self>, experiment: Arc<Experiment>, mut jobs: mpsc::UnboundedReceiver<Job>) {
        loop {
            let next = async {
                let place = experiment.places.clone().acquire_owned().await.ok()?;
                Some((jobs.recv().await?, place))
            };
            let next = tokio::select! {
                next = next => next,
                () = experiment.ended.cancelled() => None,
            };
            let Some((job, place)) = next else { break };
            experiment.taken();
            if !self.alive.holds() {
                experiment.dropped(Drop::Stopped, false);
                continue;
            }
            tokio::spawn(self.clone().copied(experiment.clone(), job, place));
        }
        jobs.close();
        while jobs.try_recv().is_ok() {
            experiment.taken();
            experiment.dropped(Drop::Stopped, false);
        }
        self.tell(&experiment).await;
    }

    async fn copied(self: Arc<Self>, experiment: Arc<Experiment>, job: Job, place: OwnedSemaphorePermit) {
        let mut has_begun = false;
        if let Err(why) = self.measure(&experiment, job, place, &mut has_begun).await {
            experiment.dropped(why, has_begun);
        }
    }

    async fn measure(
        &self,
        experiment: &Experiment,
        mut job: Job,
        place: OwnedSemaphorePermit,
        has_begun: &mut bool,
    ) -> Result<(), Drop> {
        let request: Value = serde_json::from_slice(&job.body).map_err(|_| Drop::Unfit)?;
        let candidate = self.asking.candidate(&job.model, &experiment.candidate, &job.cluster);
        match &candidate {
            Some(_) => experiment.is_ready(),
            // A candidate that was there and has no worker any more has failed.
            None if experiment.was_ready() => {}
            None => return Err(Drop::NotReady),
        }
        let called = candidate.as_ref().map_or(&*job.model.name, Place::called);
        let body = copied(&request, called)?;
        *has_begun = true;
        self.begin(experiment).await?;

        let pair = format!("{:032x}", rand::random::<u128>());
        let timeout = experiment.timeout().unwrap_or(self.longest);
        let answered = {
            let _counted = self.in_flight();
            match &candidate {
                Some(candidate) => {
                    let answer = self.asking.ask(candidate, job.operation, &body, &pair, timeout).await;
                    self.used(experiment, candidate, &answer);
                    answer
                }
                None => Answer::failed(Failure::Unavailable, 0.0),
            }
        };
        drop(place);
        let heard = tokio::time::timeout(LIVE, &mut job.heard).await;
        // Its caller left before the answer began.
        let heard = heard.map_err(|_| Drop::Abandoned)?.map_err(|_| Drop::Abandoned)?;
        if heard.version.is_some() && job.version.is_some() && heard.version != job.version {
            return Err(Drop::Version);
        }
        let primary = heard.answer()?;
        drop(heard);
        if primary.outcome == Outcome::Abandoned {
            return Err(Drop::Abandoned);
        }
        let baseline = match job.has_baseline && primary.is_finished() && has_noise(&experiment.metrics) {
            true => {
                self.baseline(experiment, &job.model, job.version.as_deref(), &request, &job, timeout)
                    .await
            }
            false => None,
        };
        let answers = Answers {
            primary: &primary,
            candidate: &answered,
            baseline: baseline.as_ref(),
        };
        let namespace = &experiment.key.namespace;
        let mut asked = self
            .asking
            .judged(namespace, &experiment.metrics, &request, &answers, &pair)
            .await;
        if likelihood::is_asked_for(&experiment.metrics) {
            let version = job.version.as_deref();
            let serving = version.and_then(|version| self.asking.version(&job.model, version, &job.cluster));
            let places = [serving.as_ref(), candidate.as_ref()];
            // It takes a copy's place: the serving version computes no more beside its users than baselines let it.
            let _place = experiment.places.acquire().await;
            asked.likelihoods = self.asking.likelihoods(places, &request, &answers, &pair).await;
        }
        let has_failed = answered.has_failed();
        let measured = Measured {
            request,
            primary,
            candidate: answered,
            baseline,
            asked,
            timeout: timeout.as_secs_f64(),
            metrics: experiment.metrics.clone(),
            model: job.model.clone(),
        };
        let words = job.asker.as_ref().map_or(Words::Never, |_| experiment.words());
        // Comparing long texts takes milliseconds.
        let found = tokio::task::spawn_blocking(move || measured.found(words)).await;
        let (scores, difference) = found.map_err(|_| Drop::Unscored)?;
        if scores.is_empty() {
            return Err(Drop::Unscored);
        }
        let scores = serde_json::to_value(scores).map_err(|_| Drop::Unscored)?;
        self.add(experiment, job.cluster, scores).await?;
        if let (Some(asker), Some(difference)) = (job.asker, difference) {
            let namespace = &job.model.namespace;
            self.keep_words(experiment, namespace, asker, pair, difference).await;
        }
        let key = &experiment.key;
        experiment.shown().paired(&key.namespace, &key.name, has_failed);
        Ok(())
    }

    /// Writes down that a copy is about to be sent: if this process dies, it is known to be lost.
    async fn begin(&self, experiment: &Experiment) -> Result<(), Drop> {
        let begun = experiment.tally.begin();
        let database = self.opened(experiment).await.map_err(|_| Drop::Database)?;
        match kept::begin(database, &experiment.key.uid, &self.replica, begun).await {
            Ok(true) => Ok(()),
            // It was forgotten, and nothing of it is to come back.
            Ok(false) => {
                experiment.ended.cancel();
                Err(Drop::Stopped)
            }
            Err(error) => Err(self.pause(&error)),
        }
    }

    async fn add(&self, experiment: &Experiment, cluster: String, scores: Value) -> Result<(), Drop> {
        let database = self.database().map_err(|_| Drop::Database)?;
        let pair = NewPair { cluster, scores };
        let totals = experiment.tally.totals();
        match kept::add(database, &experiment.key.uid, &self.replica, &pair, &totals).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                experiment.ended.cancel();
                Err(Drop::Stopped)
            }
            Err(error) => Err(self.pause(&error)),
        }
    }

    /// What the serving version answers when it is asked the same once more: how far its own answers differ.
    async fn baseline(
        &self,
        experiment: &Experiment,
        model: &Arc<Model>,
        version: Option<&str>,
        request: &Value,
        job: &Job,
        timeout: Duration,
    ) -> Option<Answer> {
        let place = match (&model.hosted, version) {
            (Some(_), _) => Some(Place::Provider(model.clone())),
            (None, version) => self.asking.version(model, version?, &job.cluster),
        }?;
        let body = copied(request, place.called()).ok()?;
        let _place = experiment.places.acquire().await.ok()?;
        let _counted = self.in_flight();
        let pair = format!("{:032x}", rand::random::<u128>());
        let answer = self.asking.ask(&place, job.operation, &body, &pair, timeout).await;
        let key = &experiment.key;
        experiment
            .shown()
            .baseline(&key.namespace, &key.name, answer.is_finished());
        self.used(experiment, &place, &answer);
        Some(answer)
    }

    fn used(&self, experiment: &Experiment, place: &Place, answer: &Answer) {
        let tokens = answer
            .tokens_in
            .unwrap_or_default()
            .saturating_add(answer.tokens_out.unwrap_or_default());
        experiment.tally.used(tokens, place.cost(answer));
        let key = &experiment.key;
        experiment.shown().used(&key.namespace, &key.name, tokens);
    }

    fn in_flight(&self) -> InFlight {
        let in_flight = self.metrics.in_flight.clone();
        in_flight.inc();
        InFlight(in_flight)
    }
}

struct InFlight(prometheus::IntGauge);

impl std::ops::Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn copied(request: &Value, called: &str) -> Result<Value, Drop> {
    let target = Target {
        model: called.to_owned(),
        logprobs: false,
    };
    copy::copy(request, &target).map_err(|why| {
        tracing::debug!(%why, "a request is not copied");
        Drop::Unfit
    })
}

/// Whether a metric is about how alike answers are, for which it matters how alike those of one model are.
fn has_noise(metrics: &[ComparedMetric]) -> bool {
    metrics
        .iter()
        .any(|compared| metric::describe(compared.metric).value == PairValue::Similarity)
}

impl Measured {
    /// The scores, and what the answers differ in where that is kept.
    fn found(mut self, words: Words) -> (BTreeMap<String, wire::Score>, Option<Difference>) {
        let scores = self.scores();
        let prompts = match words {
            Words::Kept { prompts, .. } => prompts,
            Words::Never | Words::Unknown => return (scores, None),
        };
        let request = prompts.then_some(&self.request);
        let difference = Difference::between(&self.primary, &self.candidate, &scores, &self.metrics, request);
        (scores, difference)
    }

    fn scores(&mut self) -> BTreeMap<String, wire::Score> {
        for answer in [&mut self.primary, &mut self.candidate] {
            answer.violations = violations(&self.model, answer);
        }
        let format = Format::of(&self.request);
        let pair = Pair {
            format: &format,
            primary: &self.primary,
            candidate: &self.candidate,
            baseline: self.baseline.as_ref(),
            asked: &self.asked,
            timeout: self.timeout,
        };
        let measured = self.metrics.iter().flat_map(|compared| pair.scores(compared.metric));
        measured.map(|(name, score)| (name.to_owned(), told(score))).collect()
    }
}

fn told(score: Score) -> wire::Score {
    match score {
        Score::Arms { primary, candidate } => wire::Score {
            primary: Some(primary),
            candidate,
            baseline: None,
        },
        Score::Paired { candidate, baseline } => wire::Score {
            primary: None,
            candidate,
            baseline,
        },
    }
}

/// How many of the model's checks an answer fails, of those that look at a text by themselves: webhooks are not asked.
fn violations(model: &Model, answer: &Answer) -> Option<u32> {
    let rails = model.guards.as_ref()?.rails().ok()?;
    if !rails.look_at_answers() {
        return None;
    }
    let mut stream = rails.output.whole();
    let mut passed = String::new();
    // Why it stops is in its report.
    let _ = stream
        .push(&answer.compared(), &mut passed)
        .and_then(|()| stream.finish(&mut passed));
    Some(u32::try_from(stream.report().violations(stream.guard()).count()).unwrap_or(u32::MAX))
}
