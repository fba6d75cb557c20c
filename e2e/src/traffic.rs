//! Users who never stop asking, and a tally of what they got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::gateway::{Gateway, Streamed, question};
use crate::wait;

/// Makes the body of a request out of the numbers of a user and of a request.
type Ask = Arc<dyn Fn(u64, u64) -> Value + Send + Sync>;

/// Requests that go on until [`Traffic::stop`].
pub struct Traffic {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    users: Vec<JoinHandle<Vec<String>>>,
}

/// What the users got.
#[derive(Debug)]
pub struct Tally {
    /// Complete answers.
    pub answered: u64,
    /// What was told in place of an answer.
    pub failures: Vec<String>,
}

impl Traffic {
    /// Lets `users` ask a model without a break, streaming, and waits until each got an answer.
    pub async fn start(gateway: &Gateway, model: &str, users: u64) -> Result<Self> {
        let model = model.to_owned();
        // Each is a conversation of its own.
        let ask = move |_, number| question(&model, &format!("Count from {number} to ten."), 8, true);
        Self::asking(gateway, users, ask).await
    }

    /// The same, where a function makes the body of each request out of the user's number and that of the request.
    pub async fn asking(
        gateway: &Gateway,
        users: u64,
        ask: impl Fn(u64, u64) -> Value + Send + Sync + 'static,
    ) -> Result<Self> {
        let ask: Ask = Arc::new(ask);
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let tasks = (0..users)
            .map(|user| tokio::spawn(asks(gateway.clone(), user, ask.clone(), stop.clone(), answered.clone())))
            .collect();
        let traffic = Self {
            stop,
            answered,
            users: tasks,
        };
        traffic.answers(users).await?;
        Ok(traffic)
    }

    /// Waits for `more` further answers.
    pub async fn answers(&self, more: u64) -> Result<()> {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        wait::until("answers", async || {
            Ok((self.answered.load(Ordering::Relaxed) >= goal).then_some(()))
        })
        .await
    }

    /// Lets the users finish what they asked and tells how they fared.
    pub async fn stop(self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for user in self.users {
            failures.extend(user.await.context("a user panicked")?);
        }
        Ok(Tally {
            answered: self.answered.load(Ordering::Relaxed),
            failures,
        })
    }

    /// [`Traffic::stop`] where every request must have been answered.
    pub async fn stop_without_failure(self) -> Result<u64> {
        let tally = self.stop().await?;
        ensure!(
            tally.failures.is_empty(),
            "{} of {} requests failed: {:#?}",
            tally.failures.len(),
            tally.failures.len() as u64 + tally.answered,
            tally.failures
        );
        Ok(tally.answered)
    }
}

async fn asks(gateway: Gateway, user: u64, ask: Ask, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) -> Vec<String> {
    let mut failures = Vec::new();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        match answer(&gateway, &ask(user, number)).await {
            Ok(answer) if is_complete(&answer) => {
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(partial) => failures.push(format!("{partial:?}")),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    failures
}

async fn answer(gateway: &Gateway, body: &Value) -> Result<Streamed> {
    let mut stream = gateway.open(body).await?;
    while stream.next().await? {}
    Ok(stream.seen)
}

fn is_complete(answer: &Streamed) -> bool {
    answer.done && answer.error.is_none() && answer.finish_reason.is_some() && !answer.text.is_empty()
}
