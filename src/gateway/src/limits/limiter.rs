//! Keeping to what models allow.

use std::{sync::Arc, time::Duration};

use api::llmmodel::Pricing;
use axum::Router;
use store::Database;

use super::{
    Admission, Allowance, Amount, Demand, Money, Verdict, Wish,
    accounts::Accounts,
    concurrency::Concurrency,
    ledger::{Account, Grant},
    peers::{Peers, Token},
    routes::{self, Counters},
};
use crate::{auth::Authenticator, catalog::Model, error::Error, identity::Identity, price::Price};

/// How long what was spent last may take to its database.
const DRAIN: Duration = Duration::from_secs(10);

/// Why money is not counted, and what to do about it.
const NO_DATABASE: &str = "spec.limits spendPerMonth needs a database to add up what is spent; set the gateway's \
                           --database-url-file (the chart's database values), or remove spendPerMonth";
const NO_PRICES: &str = "spec.limits spendPerMonth needs spec.source.provider.pricing; set it, or remove spendPerMonth";

/// Keeps to what models allow.
pub struct Limiter(Counters);

/// Whose use is counted, and how much that may be.
struct Counted {
    /// Whom it is about, in the words of a refusal.
    whom: String,
    key: String,
    allowance: Allowance,
}

impl Limiter {
    /// A limiter that counts with `peers`, and money in `database`, for which it needs a runtime.
    pub fn new(peers: Arc<Peers>, database: Option<Database>) -> Self {
        Self(Counters {
            concurrency: Arc::new(Concurrency::new(peers.clone())),
            accounts: database.map(|database| Accounts::start(database, peers.clone())),
            peers,
        })
    }

    /// What other replicas ask this one.
    pub fn routes(&self, authenticator: Arc<Authenticator>, token: Token) -> Router {
        routes::router(self.0.clone(), authenticator, token)
    }

    /// What is to be done as long as the process runs.
    pub fn keep_counting(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.concurrency.clone().keep_renewing()
    }

    /// What [`Self::keep_counting`] does every now and then.
    #[cfg(test)]
    pub async fn renew(&self) {
        self.0.concurrency.renew().await;
    }

    /// Waits until what was spent is in the database, within bounds.
    pub async fn drain(&self) {
        if let Some(accounts) = &self.0.accounts
            && !accounts.drain(DRAIN).await
        {
            tracing::error!("what was spent last is not in the database at the end of the process");
        }
    }

    /// Notes a request of `demand`; `None` where the model has no limits for its caller.
    ///
    /// # Errors
    /// When a limit is reached, or cannot be kept to.
    pub async fn admit(&self, caller: &Identity, model: &Model, demand: Demand) -> Result<Option<Admission>, Error> {
        let counted = counted(caller, model);
        if counted.is_empty() {
            return Ok(None);
        }
        // What was noted is given back with the admission when something later refuses.
        let mut admission = Admission::new(self.0.peers.clone(), demand);
        for it in &counted {
            self.take_place(model, it, &mut admission).await?;
        }
        for it in &counted {
            self.reserve(model, it, demand, &mut admission).await?;
        }
        for it in counted {
            self.take(model, it, demand, &mut admission).await?;
        }
        admission.begin();
        Ok(Some(admission))
    }

    async fn take_place(&self, model: &Model, counted: &Counted, admission: &mut Admission) -> Result<(), Error> {
        let Some(limit) = counted.allowance.concurrent else {
            return Ok(());
        };
        let place = self.0.concurrency.take(&counted.key, limit).await;
        admission.hold(place.ok_or_else(|| Error::ConcurrencyLimited {
            model: model.qualified(),
            whom: counted.whom.clone(),
            limit,
        })?);
        Ok(())
    }

    async fn reserve(
        &self,
        model: &Model,
        counted: &Counted,
        demand: Demand,
        admission: &mut Admission,
    ) -> Result<(), Error> {
        let Some(limit) = counted.allowance.per_month else {
            return Ok(());
        };
        let unusable = |reason| Error::LimitsUnusable {
            model: model.qualified(),
            reason,
        };
        let accounts = self.0.accounts.as_ref().ok_or_else(|| unusable(NO_DATABASE))?;
        let pricing: Option<&Pricing> = model.hosted.as_ref().and_then(|hosted| hosted.pricing.as_ref());
        let price = pricing.and_then(|pricing| Some((pricing, Price::of(pricing)?)));
        let (pricing, price) = price.ok_or_else(|| unusable(NO_PRICES))?;
        let account = Account {
            key: counted.key.clone(),
            currency: pricing.currency.clone(),
        };
        let wanted = Money::of_price(price.of_answer(demand.usage()));
        let reserved = accounts.reserve(account, limit, wanted).await;
        let reservation = reserved.map_err(|grant| match grant {
            Grant::Unknown | Grant::Reserved => Error::SpendingUnavailable {
                model: model.qualified(),
            },
            Grant::Refused => Error::QuotaExceeded {
                model: model.qualified(),
                whom: counted.whom.clone(),
                limit: format!("{limit} {}", pricing.currency),
            },
        })?;
        admission.reserve(reservation, price);
        Ok(())
    }

    async fn take(
        &self,
        model: &Model,
        counted: Counted,
        demand: Demand,
        admission: &mut Admission,
    ) -> Result<(), Error> {
        let limit = counted.allowance.per_minute;
        if limit == Amount::UNLIMITED {
            return Ok(());
        }
        let wanted = Amount {
            requests: 1,
            tokens: demand.tokens(),
        };
        let wish = Wish {
            key: counted.key,
            limit,
            wanted,
        };
        let (verdict, counter) = self.0.peers.take(&wish).await;
        if verdict.wait > 0 {
            return Err(refusal(model, counted.whom, &wish, verdict));
        }
        admission.note(wish, verdict, counter);
        Ok(())
    }
}

/// For whom a request is counted.
fn counted(caller: &Identity, model: &Model) -> Vec<Counted> {
    let limits = &model.limits;
    let user = limits.per_user.map(|allowance| Counted {
        whom: "you".into(),
        key: format!("u/{}/{}", model.qualified(), caller.pseudonym()),
        allowance,
    });
    let groups = limits.per_group.iter();
    let groups = groups.filter(|(name, _)| caller.groups().contains(name));
    let groups = groups.map(|(name, allowance)| Counted {
        whom: format!("the members of group \"{name}\""),
        key: format!("g/{}/{name}", model.qualified()),
        allowance: *allowance,
    });
    user.into_iter().chain(groups).collect()
}

fn refusal(model: &Model, whom: String, wish: &Wish, verdict: Verdict) -> Error {
    let (limit, what) = match verdict.left.requests {
        0 => (wish.limit.requests, "requests"),
        _ => (wish.limit.tokens, "tokens"),
    };
    Error::RateLimited {
        model: model.qualified(),
        whom,
        limit,
        what,
        wait: verdict.wait,
    }
}

#[cfg(test)]
mod tests;
