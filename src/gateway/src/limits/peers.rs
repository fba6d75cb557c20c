//! Which replica counts for whom, and how the others ask it.
//!
//! Every key has one replica that counts: the one whose address gives the highest hash together with the key, which
//! all replicas find alike without talking to each other. Counts are exact while replicas stay. A replica that comes
//! or goes takes over, or takes along, the last minute of its share of the keys. A replica that does not answer
//! is stood in for: each of the others counts by itself, up to its share of the limit.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use reqwest::Client;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{Amount, Quotas, Settlement, Verdict, Wish};

/// Where replicas ask for a wish, on their admin port.
pub const TAKE_PATH: &str = "/peers/limits/take";
/// Where they settle what was used.
pub const SETTLE_PATH: &str = "/peers/limits/settle";
/// Longest wait for another replica.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a replica that did not answer is not asked.
const PAUSE: Duration = Duration::from_secs(1);
/// How old a token may be before its file is read again: they are replaced minutes before they expire.
const REREAD: Duration = Duration::from_secs(60);

/// Reads the token that this replica shows to others.
pub type Token = Arc<dyn Fn() -> anyhow::Result<String> + Send + Sync>;

/// The token in a file, which whoever issues it replaces from time to time.
pub fn token_in(file: PathBuf) -> Token {
    let read = Mutex::new((Instant::now(), String::new()));
    Arc::new(move || {
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.1.is_empty() || read.0.elapsed() > REREAD {
            let token = std::fs::read_to_string(&file);
            let token = token.with_context(|| format!("failed to read {}", file.display()))?;
            *read = (Instant::now(), token.trim().to_owned());
        }
        Ok(read.1.clone())
    })
}

/// How this replica reaches the others.
pub struct Link {
    /// Its own address, as the others know it.
    pub own: IpAddr,
    /// The admin port of all replicas.
    pub port: u16,
    /// Shows the others who asks.
    pub token: Token,
}

/// The replicas, this one among them.
pub struct Peers {
    quotas: Quotas,
    link: Option<(Link, Client)>,
    others: RwLock<Vec<Other>>,
}

/// Another replica.
#[derive(Clone, Debug)]
struct Other {
    address: IpAddr,
    silent_until: Option<Instant>,
}

/// Who has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// This replica.
    Own,
    /// Another one.
    Other(IpAddr),
}

/// Who counts for a key at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// This replica.
    Own,
    /// Another one.
    Other(IpAddr),
    /// Another one that does not answer: each of the others counts its share.
    StandIn,
}

impl Peers {
    /// A replica that counts by itself.
    pub fn alone() -> Self {
        Self {
            quotas: Quotas::default(),
            link: None,
            others: RwLock::default(),
        }
    }

    /// A replica that reaches the others by `link`.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub fn linked(link: Link) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build();
        let client = client.context("failed to build an HTTP client for other replicas")?;
        Ok(Self {
            link: Some((link, client)),
            ..Self::alone()
        })
    }

    /// Says which replicas there are; this one may be among them.
    pub fn set(&self, replicas: impl IntoIterator<Item = IpAddr>) {
        let own = self.link.as_ref().map(|(link, _)| link.own);
        let mut others: Vec<_> = replicas.into_iter().filter(|address| Some(*address) != own).collect();
        others.sort_unstable();
        others.dedup();
        let others = others.into_iter().map(|address| Other {
            address,
            silent_until: None,
        });
        *self.others.write().unwrap_or_else(PoisonError::into_inner) = others.collect();
    }

    /// What the replica that counts says to `wish`, and which one that is.
    pub async fn take(&self, wish: &Wish) -> (Verdict, Counter) {
        match self.ask_counting(&wish.key, TAKE_PATH, wish).await {
            Ok((verdict, address)) => return (verdict, Counter::Other(address)),
            Err(Counting::Own) => return (self.quotas.take(wish), Counter::Own),
            Err(_) => {}
        }
        let replicas = self.replicas();
        let share = |limit: u32| match limit {
            u32::MAX => limit,
            limit => limit.div_ceil(replicas),
        };
        let verdict = self.quotas.take(&Wish {
            limit: Amount {
                requests: share(wish.limit.requests),
                tokens: share(wish.limit.tokens),
            },
            ..wish.clone()
        });
        (verdict, Counter::Own)
    }

    /// Corrects, in its own time, what `counter` noted: by another one's clock it was at another second.
    pub fn settle(self: Arc<Self>, counter: Counter, settlement: Settlement) {
        let Counter::Other(address) = counter else {
            return self.quotas.settle(&settlement);
        };
        self.tell(address, SETTLE_PATH, settlement);
    }

    /// Tells another replica something, in its own time.
    pub(super) fn tell(
        self: Arc<Self>,
        address: IpAddr,
        path: &'static str,
        news: impl Serialize + Send + Sync + 'static,
    ) {
        // Without a runtime the process is ending.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { self.ask_at::<_, ()>(address, path, &news).await });
        }
    }

    /// Asks the replica that counts for `key`, if that is another one, and says which one answered.
    ///
    /// # Errors
    /// When it is this one, or this one has to stand in.
    pub(super) async fn ask_counting<Q: Serialize, A: DeserializeOwned>(
        &self,
        key: &str,
        path: &str,
        question: &Q,
    ) -> Result<(A, IpAddr), Counting> {
        match self.counting(key) {
            Counting::Other(address) => match self.ask_at(address, path, question).await {
                Some(answer) => Ok((answer, address)),
                None => Err(Counting::StandIn),
            },
            here => Err(here),
        }
    }

    /// Asks another replica; one that does not answer is left alone for a moment.
    pub(super) async fn ask_at<Q: Serialize, A: DeserializeOwned>(
        &self,
        address: IpAddr,
        path: &str,
        question: &Q,
    ) -> Option<A> {
        let answer = self.ask(address, path, question).await;
        answer.inspect_err(|error| self.fell_silent(address, error)).ok()
    }

    /// Answers another replica that asks [`TAKE_PATH`].
    pub fn answer(&self, wish: &Wish) -> Verdict {
        self.quotas.take(wish)
    }

    /// Answers another replica that asks [`SETTLE_PATH`].
    pub fn note(&self, settlement: &Settlement) {
        self.quotas.settle(settlement);
    }

    /// How many there are, this one among them.
    pub fn replicas(&self) -> u32 {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Who counts for `key`.
    pub(super) fn counting(&self, key: &str) -> Counting {
        let Some((link, _)) = &self.link else {
            return Counting::Own;
        };
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        let best = others.iter().max_by_key(|other| weight(key, other.address));
        let best = best.filter(|other| weight(key, other.address) > weight(key, link.own));
        match best {
            None => Counting::Own,
            Some(other) if other.silent_until.is_some_and(|until| Instant::now() < until) => Counting::StandIn,
            Some(other) => Counting::Other(other.address),
        }
    }

    async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        address: IpAddr,
        path: &str,
        question: &Q,
    ) -> anyhow::Result<A> {
        let (link, client) = self.link.as_ref().context("there is no link to other replicas")?;
        let url = format!("http://{}{path}", SocketAddr::new(address, link.port));
        let request = client.post(url).bearer_auth((link.token)()?).json(question);
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        ensure!(status.is_success(), "it answered {status}");
        Ok(response.json().await.map_err(reqwest::Error::without_url)?)
    }

    fn fell_silent(&self, address: IpAddr, error: &anyhow::Error) {
        tracing::warn!(%address, error = format!("{error:#}"), "another replica does not count; each counts its share");
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = others.iter_mut().find(|other| other.address == address) {
            other.silent_until = Some(Instant::now() + PAUSE);
        }
    }
}

/// Rendezvous hashing: the replica with the highest weight counts.
fn weight(key: &str, address: IpAddr) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(address.to_string());
    hash.update([0]);
    hash.update(key);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(i: u8) -> IpAddr {
        [10, 0, 0, i].into()
    }

    fn replica(own: u8, all: std::ops::Range<u8>) -> Peers {
        let link = Link {
            own: address(own),
            port: 1,
            token: Arc::new(|| Ok(String::new())),
        };
        let peers = Peers::linked(link).unwrap();
        peers.set(all.map(address));
        peers
    }

    #[test]
    fn replicas_agree_on_who_counts() {
        let replicas: Vec<_> = (0..5).map(|own| replica(own, 0..5)).collect();
        let mut counted = [0; 5];
        for key in 0..500 {
            let key = format!("u/ns/m/{key}");
            let owners: Vec<_> = replicas.iter().map(|it| it.counting(&key)).collect();
            let own: Vec<_> = (0..5).filter(|i| owners[*i] == Counting::Own).collect();
            let [own] = own[..] else { panic!("{owners:?}") };
            counted[own] += 1;
            let others = owners.iter().enumerate().filter(|(i, _)| *i != own);
            for (_, owner) in others {
                assert_eq!(*owner, Counting::Other(address(own as u8)));
            }
        }
        assert!(counted.iter().all(|count| *count > 50), "{counted:?}");
    }

    #[test]
    fn a_new_replica_takes_its_share_and_nothing_else_moves() {
        let (before, after) = (replica(9, 0..4), replica(9, 0..5));
        for key in 0..500 {
            let key = key.to_string();
            let (before, after) = (before.counting(&key), after.counting(&key));
            assert!(
                before == after || after == Counting::Other(address(4)),
                "{before:?} {after:?}"
            );
        }
    }

    #[tokio::test]
    async fn where_nobody_answers_each_counts_its_share() {
        // Port 1 of these addresses has no listener that this process could reach.
        let peers = Peers::linked(Link {
            own: address(0),
            port: 1,
            token: Arc::new(|| anyhow::bail!("there is no token")),
        })
        .unwrap();
        peers.set([0, 1, 2, 3].map(address));
        let key = (0..).map(|i: u32| i.to_string());
        let key = key
            .into_iter()
            .find(|key| peers.counting(key) != Counting::Own)
            .unwrap();
        let wish = Wish {
            key,
            limit: Amount {
                requests: 8,
                tokens: u32::MAX,
            },
            wanted: Amount { requests: 1, tokens: 5 },
        };
        let mut admitted = 0;
        for _ in 0..8 {
            admitted += u32::from(peers.take(&wish).await.0.wait == 0);
        }
        assert_eq!(admitted, 2);
        assert_eq!(peers.counting(&wish.key), Counting::StandIn);
    }
}
