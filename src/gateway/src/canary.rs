//! Which version answers while a new one gets a share of the traffic.
//!
//! A conversation keeps its version: the share is that of conversations, chosen by a hash that all
//! gateways compute alike, and each gateway remembers the conversations that it has seen, so that a
//! later step of the canary moves none of them.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::catalog::{Canary, Model};

/// Conversations that are remembered at least; up to twice as many are.
const REMEMBERED: usize = 1 << 16;

/// What a request is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    hash: [u8; 16],
    /// Whether other requests may have the same.
    has_turns: bool,
}

impl Conversation {
    /// The conversation of a request. In chats it is known by the caller and everything up to the first
    /// message of the user, which each later turn repeats; any other request stands for itself.
    pub fn of(caller: &str, body: &[u8]) -> Self {
        let Some(opening) = opening(body) else {
            return Self::alone();
        };
        let mut hash = Sha256::new();
        for part in [caller.as_bytes(), &opening] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self {
            hash: first_half(hash),
            has_turns: true,
        }
    }

    /// A request that stands for itself.
    pub fn alone() -> Self {
        Self {
            hash: rand::random(),
            has_turns: false,
        }
    }

    /// What a worker that answered it before may still know.
    pub fn prefix(&self) -> Option<[u8; 16]> {
        self.has_turns.then_some(self.hash)
    }

    /// Whether it belongs to the share of the new version, before anything is remembered.
    fn is_within(self, canary: &Canary) -> bool {
        // Salted, so that the same people are not the first to try each version.
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(&canary.version);
        let place = u128::from_be_bytes(first_half(hash));
        place < u128::MAX / 100 * u128::from(canary.weight)
    }
}

fn first_half(hash: Sha256) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    half
}

/// The messages up to the first of the user, as they are written; `None` where there are none.
fn opening(body: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Chat<'a> {
        #[serde(borrow)]
        messages: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Message {
        role: String,
    }
    let chat: Chat<'_> = serde_json::from_slice(body).ok()?;
    let is_users = |message: &RawValue| {
        let message = serde_json::from_str::<Message>(message.get());
        message.is_ok_and(|message| message.role == "user")
    };
    let end = chat.messages.iter().position(|message| is_users(message))?;
    let opening = chat.messages[..=end].iter().map(|message| message.get());
    Some(opening.collect::<Vec<_>>().join("\n").into_bytes())
}

/// Remembers which version answers which conversation, as long as there is a canary.
#[derive(Default)]
pub struct Conversations(Mutex<Generations>);

/// When the younger one is full, the older one is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Conversation, Arc<str>>,
    old: HashMap<Conversation, Arc<str>>,
}

impl Conversations {
    /// The version on its way, if it is to answer this conversation rather than the current one.
    pub fn choose<'a>(&self, model: &'a Model, conversation: Conversation) -> Option<&'a str> {
        let canary = model.canary.as_ref()?;
        let current = model.current_version.as_deref()?;
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = generations.find(conversation);
        let is_chosen = match known.as_deref() {
            Some(known) if known == current => false,
            Some(known) if known == canary.version => true,
            // Of another rollout, or not seen yet.
            _ => conversation.is_within(canary),
        };
        let version = if is_chosen { canary.version.as_str() } else { current };
        if known.as_deref() != Some(version) {
            generations.remember(conversation, version.into());
        }
        is_chosen.then_some(canary.version.as_str())
    }
}

impl Generations {
    fn find(&mut self, conversation: Conversation) -> Option<Arc<str>> {
        if let Some(known) = self.young.get(&conversation) {
            return Some(known.clone());
        }
        let known = self.old.remove(&conversation)?;
        self.remember(conversation, known.clone());
        Some(known)
    }

    fn remember(&mut self, conversation: Conversation, version: Arc<str>) {
        if self.young.len() >= REMEMBERED {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(conversation, version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{VERSION, model};

    const NEXT: &str = "v-9876543210";

    fn with_weight(weight: u8) -> Model {
        let version = NEXT.to_owned();
        Model {
            canary: Some(Canary { version, weight }),
            ..model("ns", "m")
        }
    }

    fn numbered(i: u32) -> Conversation {
        let body = format!(r#"{{"messages": [{{"role": "user", "content": "question {i}"}}]}}"#);
        Conversation::of("jane", body.as_bytes())
    }

    #[test]
    fn a_conversation_is_known_by_its_opening() {
        let of = |caller: &str, messages: &str| Conversation::of(caller, messages.as_bytes());
        let first = of(
            "jane",
            r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]}"#,
        );
        let later = r#"{"stream": true, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]}"#;
        assert_eq!(first, of("jane", later));
        assert_ne!(first, of("joe", later));
        assert_ne!(first, of("jane", &later.replace("\"s\"", "\"t\"")));
        // What has no opening stands for itself.
        for other in [r#"{"prompt": "a"}"#, r#"{"messages": "a"}"#, r#"{"messages": []}"#, "["] {
            assert_ne!(of("jane", other), of("jane", other));
        }
    }

    #[test]
    fn the_share_is_that_of_conversations() {
        for weight in [0, 1, 20, 50, 100] {
            let (model, conversations) = (with_weight(weight), Conversations::default());
            let chosen = (0..4000).filter(|i| conversations.choose(&model, numbered(*i)).is_some());
            // Three standard deviations of a binomial distribution; the hash does not change from run to run.
            let share = f64::from(weight) / 100.0;
            let spread = 3.0 * (4000.0 * share * (1.0 - share)).sqrt();
            let chosen = chosen.count() as f64;
            assert!((chosen - 4000.0 * share).abs() <= spread, "{weight} %: {chosen}");
        }
    }

    #[test]
    fn a_later_step_moves_no_conversation() {
        let conversations = Conversations::default();
        let (few, most) = (with_weight(10), with_weight(90));
        let before: Vec<_> = (0..200).map(|i| conversations.choose(&few, numbered(i))).collect();
        let after: Vec<_> = (0..200).map(|i| conversations.choose(&most, numbered(i))).collect();
        assert_eq!(before, after);
        let new = (200..400).filter(|i| conversations.choose(&most, numbered(*i)).is_some());
        assert!(new.count() > 150);
        // A gateway that has not seen them decides as the others do.
        let other = Conversations::default();
        assert!((0..200).all(|i| other.choose(&few, numbered(i)) == before[i as usize]));
    }

    #[test]
    fn without_a_canary_nothing_is_chosen() {
        let conversations = Conversations::default();
        let is_in = |i: &u32| conversations.choose(&with_weight(100), numbered(*i)) == Some(NEXT);
        assert!((0..10).all(|i| is_in(&i)));
        assert_eq!(conversations.choose(&model("ns", "m"), numbered(1)), None);
        // It has become the current one.
        let done = Model {
            current_version: Some(NEXT.into()),
            ..model("ns", "m")
        };
        assert_eq!(conversations.choose(&done, numbered(1)), None);
        // The next canary starts from it.
        let next = Model {
            canary: Some(Canary {
                version: VERSION.into(),
                weight: 1,
            }),
            ..done
        };
        assert_eq!(conversations.choose(&next, numbered(1)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let (model, conversations) = (with_weight(50), Conversations::default());
        for _ in 0..3 * REMEMBERED {
            conversations.choose(&model, Conversation::of("jane", b"{}"));
        }
        let generations = conversations.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * REMEMBERED);
    }
}
