//! Answers of a given form: grammars are compiled by `llguidance` into constraints of the engine.

mod alternatives;
mod grammar;
mod matcher;
mod vocabulary;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use engine::{TokenConstraint, text::Tokenizer};
use llguidance::ParserFactory;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

pub use self::grammar::{Grammar, lark_schema, lark_text};
use self::matcher::GrammarMatcher;

/// Grammars compiled at a time; others wait for their turn.
const COMPILERS: usize = 2;
/// Longest wait for a grammar, turn included. The compiler counts its own steps and gives up long
/// before; this is for the day when it does not.
const PATIENCE: Duration = Duration::from_secs(20);

/// Compiles grammars for one model.
pub struct Constraints {
    tokenizer: Arc<Tokenizer>,
    /// Made by the first request that needs it, so that a start does not wait for it.
    factory: Arc<OnceLock<Result<ParserFactory, String>>>,
    turns: Arc<Semaphore>,
}

impl Constraints {
    /// For answers in the tokens of `tokenizer`.
    pub fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self {
            tokenizer,
            factory: Arc::default(),
            turns: Arc::new(Semaphore::new(COMPILERS)),
        }
    }

    /// Compiles a grammar, away from the threads that serve.
    ///
    /// # Errors
    /// Why it cannot be compiled.
    pub async fn compile(&self, grammar: Grammar) -> Result<Box<dyn TokenConstraint>, String> {
        grammar.check()?;
        let (tokenizer, factory, turns) = (self.tokenizer.clone(), self.factory.clone(), self.turns.clone());
        let work = async move {
            let turn = turns.acquire_owned().await.map_err(|error| error.to_string())?;
            let compiled = spawn_blocking(move || {
                // Held as long as the thread works, also when nobody waits for it any more.
                let _turn = turn;
                let factory = factory.get_or_init(|| vocabulary::factory(tokenizer));
                GrammarMatcher::compile(factory.as_ref().map_err(Clone::clone)?, &grammar)
            });
            compiled
                .await
                .unwrap_or_else(|_| Err("the grammar compiler met a fault of its own".into()))
        };
        let matcher = timeout(PATIENCE, work)
            .await
            .unwrap_or_else(|_| Err("it takes too long to compile; make it simpler".into()))?;
        Ok(Box::new(matcher))
    }
}

#[cfg(test)]
pub(crate) mod tests;
