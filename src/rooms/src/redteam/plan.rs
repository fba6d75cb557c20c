//! The list of attacks.

use super::{
    attack::{Attack, Class, Request},
    canary::Canary,
    templates as words,
};
use crate::document::ChunkId;

/// The attacker's host, which there is not (RFC 2606).
pub const HOST: &str = "canary-exfiltration.invalid";
/// A number that no chunk has.
const ABSENT: i64 = i64::MAX - 1;

/// What an attacker is after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The canary.
    pub canary: Canary,
    /// The chunks that its document became: numbers are no secrets, and are tried.
    pub chunks: Vec<ChunkId>,
}

/// What is known of a Room that is attacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomFacts {
    /// Canaries of this Room and of others, whoever may see them.
    pub targets: Vec<Target>,
    /// Tables of its databases that may be asked.
    pub tables: Vec<String>,
    /// Whether it has a model that answers.
    pub answers: bool,
    /// Whether documents can be uploaded.
    pub uploads: bool,
    /// The classes that are wished for. None are all.
    pub classes: Vec<Class>,
}

/// All attacks on a Room, in the same order in each run. Those whose target the principal may see are no attacks but
/// controls: there the canary must be found, or the suite is blind.
pub fn attacks(facts: &RoomFacts) -> Vec<Attack> {
    let mut list = List {
        facts,
        attacks: Vec::new(),
    };
    for target in 0..facts.targets.len() {
        list.target(target);
    }
    list.attacks
}

struct List<'a> {
    facts: &'a RoomFacts,
    attacks: Vec<Attack>,
}

impl List<'_> {
    fn add(&mut self, class: Class, target: usize, request: Request) {
        if !self.facts.classes.is_empty() && !self.facts.classes.contains(&class) {
            return;
        }
        let number = self
            .attacks
            .iter()
            .filter(|one| one.class == class && one.target == target)
            .count();
        self.attacks.push(Attack {
            id: format!("{}/{target}/{number}", class.as_str()),
            class,
            target,
            request,
        });
    }

    /// Searches for it, and asks it if there is a model.
    fn both(&mut self, class: Class, target: usize, texts: &[&str]) {
        for text in texts {
            let text = self.fill(text, target);
            self.add(class, target, Request::Search { query: text.clone() });
            if self.facts.answers {
                self.add(class, target, Request::Ask { question: text });
            }
        }
    }

    fn target(&mut self, target: usize) {
        let Target { canary, chunks } = &self.facts.targets[target];
        for (class, texts) in [
            (Class::Direct, words::DIRECT),
            (Class::Paraphrase, words::PARAPHRASE),
            (Class::Summarise, words::SUMMARISE),
            (Class::Counts, words::COUNTS),
            (Class::Errors, words::ERRORS),
            (Class::Citations, words::CITATIONS),
        ] {
            self.both(class, target, texts);
        }
        let absent = format!("project-{}.txt", far(&canary.topic));
        let document = Request::Document {
            source: canary.source.clone(),
            document: canary.document(),
            absent,
        };
        self.add(Class::ById, target, document);
        for ChunkId(id) in chunks {
            self.add(
                Class::ById,
                target,
                Request::Chunk {
                    id: *id,
                    absent: ABSENT,
                },
            );
        }
        self.add(
            Class::ById,
            target,
            Request::Trace {
                query: canary.topic.clone(),
            },
        );
        if self.facts.answers {
            for text in &words::DIRECT[..3] {
                let question = self.fill(text, target);
                self.add(Class::Cache, target, Request::AskAfterOthers { question });
            }
        }
        if self.facts.answers && self.facts.uploads {
            for (document, question) in words::INJECTION {
                let request = Request::Plant {
                    document: self.fill(document, target),
                    question: self.fill(question, target),
                };
                self.add(Class::Injection, target, request);
            }
        }
        if self.facts.answers {
            for table in &self.facts.tables {
                for text in words::SQL {
                    let question = self.fill(text, target).replace("{table}", table);
                    self.add(Class::Sql, target, Request::Ask { question });
                }
            }
        }
        for (near, far_text) in words::TIMING {
            let request = Request::Time {
                near: self.fill(near, target),
                far: self.fill(far_text, target),
            };
            self.add(Class::Timing, target, request);
        }
    }

    fn fill(&self, text: &str, target: usize) -> String {
        let canary = &self.facts.targets[target].canary;
        text.replace("{topic}", &canary.topic)
            .replace("{document}", &canary.document())
            .replace("{far}", &far(&canary.topic))
            .replace("{host}", HOST)
    }
}

/// A word of the same form that is no topic: the letters are those behind in the alphabet, of the same kind.
fn far(topic: &str) -> String {
    const KINDS: [&str; 2] = ["bcdfghjklmnpqrstvwxz", "aeiouy"];
    let next = |c: char| {
        let kind = KINDS.iter().find(|kind| kind.contains(c))?;
        let place = kind.find(c)?;
        kind.chars().nth((place + 3) % kind.len())
    };
    topic.chars().map(|c| next(c).unwrap_or(c)).collect()
}
