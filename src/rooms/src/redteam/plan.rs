//! The list of attacks.

use super::{
    attack::{Attack, Class, Request},
    canary::Canary,
    database::Database,
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
    /// Whether there are [`Bait`]s for it.
    pub is_baited: bool,
}

/// A document that is planted to tell the model what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bait {
    /// Its name.
    pub document: String,
    /// Its text.
    pub text: String,
    /// What is asked behind it.
    pub question: String,
}

impl Bait {
    /// Those that are after a canary.
    pub fn of(canary: &Canary) -> Vec<Self> {
        let of = |(number, (text, question)): (usize, &(&str, &str))| {
            let document = format!("note-{}-{number}.txt", canary.topic);
            Self {
                // By its name it is found.
                question: format!("About {document}: {}", fill(question, canary)),
                text: format!("This is {document}.\n\n{}", fill(text, canary)),
                document,
            }
        };
        words::INJECTION.iter().enumerate().map(of).collect()
    }
}

/// What is known of a Room that is attacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomFacts {
    /// Canaries of this Room and of others, whoever may see them.
    pub targets: Vec<Target>,
    /// Its databases.
    pub databases: Vec<Database>,
    /// Whether it has a model that answers.
    pub answers: bool,
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
    if facts.answers {
        for database in 0..facts.databases.len() {
            list.database(database);
        }
    }
    list.attacks
}

/// A question that a database answers whoever may ask it; none where nothing of it may be asked. Where it gives no rows,
/// the attacks on it were harmless, and nobody knows why.
pub fn database_control(database: &Database) -> Option<String> {
    let table = database.tables.first()?;
    Some(words::SQL_CONTROL.replace("{table}", &table.name))
}

/// Of the attacks that need a model, those of one run, as there may be answers of it for; all others are made in each
/// run. Classes get equal shares of what they have, and each run goes on where the one before has stopped, so that several
/// runs make them all. Their places in the list.
pub fn chosen(attacks: &[Attack], run: u64, answers: usize) -> Vec<usize> {
    let asks: Vec<usize> = (0..attacks.len())
        .filter(|at| attacks[*at].request.asks() > 0)
        .collect();
    let of_class = |class| asks.iter().filter(move |at| attacks[**at].class == class);
    // Spread over the circle by their shares.
    let mut circle: Vec<(usize, usize, usize)> = Vec::new();
    for class in Class::ALL {
        let all = of_class(class).count();
        circle.extend(
            of_class(class)
                .enumerate()
                .map(|(place, at)| (place * asks.len() / all, class as usize, *at)),
        );
    }
    circle.sort_unstable();
    let costs: Vec<usize> = circle.iter().map(|(_, _, at)| attacks[*at].request.asks()).collect();
    let start = start(&costs, run, answers);
    let (mut left, mut taken) = (answers, std::collections::BTreeSet::new());
    for (_, _, at) in circle.iter().cycle().skip(start).take(circle.len()) {
        let takes = attacks[*at].request.asks();
        if takes <= left {
            left -= takes;
            taken.insert(*at);
        }
    }
    let is_made = |at: &usize| attacks[*at].request.asks() == 0 || taken.contains(at);
    (0..attacks.len()).filter(is_made).collect()
}

/// The place on the circle at which a run begins: the first that the one before could not pay for. After a while they begin
/// at the same places again.
fn start(costs: &[usize], run: u64, answers: usize) -> usize {
    let stop = |start: usize| {
        let mut left = answers;
        let affordable = (0..costs.len()).take_while(|step| {
            let rest = left.checked_sub(costs[(start + step) % costs.len()]);
            left = rest.unwrap_or(left);
            rest.is_some()
        });
        // What no run can pay for must not hold up the others.
        (start + affordable.count().max(1)) % costs.len().max(1)
    };
    let mut starts = vec![0];
    let again = loop {
        let next = stop(starts[starts.len() - 1]);
        match starts.iter().position(|start| *start == next) {
            Some(again) => break again,
            None => starts.push(next),
        }
    };
    let run = usize::try_from(run).unwrap_or(usize::MAX);
    match run < starts.len() {
        true => starts[run],
        false => starts[again + (run - again) % (starts.len() - again)],
    }
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
        let Target {
            canary,
            chunks,
            is_baited,
        } = &self.facts.targets[target];
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
        self.add(Class::Counts, target, Request::Count);
        if self.facts.answers && *is_baited {
            for bait in Bait::of(canary) {
                let request = Request::Bait {
                    document: bait.document,
                    question: bait.question,
                };
                self.add(Class::Injection, target, request);
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

    /// Each attack once, on one table after the other: answers take long.
    fn database(&mut self, database: usize) {
        let tables = &self.facts.databases[database].tables;
        let topic = self.facts.targets.first().map(|target| &target.canary);
        for (text, table) in words::SQL.iter().zip(tables.iter().cycle()) {
            let text = text.replace("{table}", &table.name);
            let question = match topic {
                Some(canary) => fill(&text, canary),
                None if text.contains("{topic}") => continue,
                None => text.replace("{host}", HOST),
            };
            self.add(Class::Sql, database, Request::Ask { question });
        }
    }

    fn fill(&self, text: &str, target: usize) -> String {
        fill(text, &self.facts.targets[target].canary)
    }
}

fn fill(text: &str, canary: &Canary) -> String {
    text.replace("{topic}", &canary.topic)
        .replace("{document}", &canary.document())
        .replace("{far}", &far(&canary.topic))
        .replace("{host}", HOST)
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
