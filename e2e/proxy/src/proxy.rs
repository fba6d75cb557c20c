//! The proxy's state, and the doors by which operators come in.

use std::{
    collections::{HashMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use kube::Client;
use tokio::{
    net::TcpListener,
    sync::{Notify, broadcast},
    task::JoinHandle,
};

use crate::{Action, Log, On, Plan, Rule, log::Entry, serve};

/// Answers to one request that are remembered.
const REMEMBERED: usize = 3;

/// A proxy in front of one API server. Clones are the same proxy.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

/// An address for one run of an operator. When it is dropped the address and all its connections are closed, so
/// that no late call of a dead operator gets through.
pub struct Door {
    /// Where the operator connects to, by plain HTTP.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub upstream: Client,
    pub namespace: Option<String>,
    /// Writes take effect one after the other, so that their numbers mean something.
    pub turn: tokio::sync::Mutex<()>,
    /// Ends all watches.
    pub ends: broadcast::Sender<()>,
    killed: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: Vec<(Rule, u32)>,
    fired: Vec<Rule>,
    log: Log,
    incarnations: usize,
    memory: HashMap<String, VecDeque<Answer>>,
}

/// An answer that is remembered as a whole.
#[derive(Clone)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Which run of the operator a call comes from, and whether it may still reach anything.
#[derive(Clone)]
pub(crate) struct Caller {
    pub incarnation: usize,
    pub admitted: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy that calls `upstream`; with a namespace, that is all that operators see of the cluster.
    pub fn new(upstream: Client, namespace: Option<String>) -> Self {
        Self(Arc::new(Shared {
            upstream,
            namespace,
            turn: tokio::sync::Mutex::default(),
            ends: broadcast::channel(1).0,
            killed: Notify::new(),
            state: Mutex::default(),
        }))
    }

    /// Opens an address for the next run of the operator. Port 0 stands for any.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn open(&self, port: u16) -> Result<Door> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("failed to listen on port {port}"))?;
        let address = listener.local_addr().context("failed to read the port")?;
        let incarnation = {
            let mut state = self.0.state();
            state.incarnations += 1;
            state.incarnations
        };
        let caller = Caller {
            incarnation,
            admitted: Arc::new(AtomicBool::new(true)),
        };
        let task = tokio::spawn(serve::listen(self.0.clone(), listener, caller));
        Ok(Door { address, task })
    }

    /// From now on the faults of `plan` happen, counted from here; the log begins anew.
    pub fn arm(&self, plan: &Plan) {
        let mut state = self.0.state();
        state.rules = plan.rules.iter().map(|rule| (*rule, 0)).collect();
        state.fired.clear();
        state.log = Log::default();
    }

    /// No more faults.
    pub fn disarm(&self) {
        self.0.state().rules.clear();
    }

    /// The faults that happened.
    pub fn fired(&self) -> Vec<Rule> {
        self.0.state().fired.clone()
    }

    /// The writes since the plan was armed.
    pub fn log(&self) -> Log {
        self.0.state().log.clone()
    }

    /// Ends all watches with 410: whoever watches has to list, and looks at everything again.
    pub fn end_watches(&self) {
        // Nobody may be watching.
        let _ = self.0.ends.send(());
    }

    /// Waits until the plan wants the operator killed.
    pub async fn killed(&self) {
        self.0.killed.notified().await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and says what the plan has for it.
    pub fn due(&self, on: On) -> Option<Action> {
        let mut state = self.state();
        let mut due = None;
        for (rule, seen) in state.rules.iter_mut().filter(|(rule, _)| rule.on == on) {
            *seen += 1;
            if *seen == rule.nth {
                due = Some(*rule);
            }
        }
        state.fired.extend(due);
        due.map(|rule| rule.action)
    }

    pub fn record(&self, entry: Entry) {
        self.state().log.entries.push(entry);
    }

    pub fn remember(&self, request: &str, answer: Answer) {
        let mut state = self.state();
        let answers = state.memory.entry(request.to_owned()).or_default();
        if answers.len() == REMEMBERED {
            answers.pop_front();
        }
        answers.push_back(answer);
    }

    /// The oldest answer to a request that is remembered.
    pub fn recall(&self, request: &str) -> Option<Answer> {
        self.state().memory.get(request)?.front().cloned()
    }

    pub fn kill(&self, caller: &Caller) {
        caller.admitted.store(false, Ordering::SeqCst);
        self.killed.notify_one();
    }
}
