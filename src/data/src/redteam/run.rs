//! A run: all attacks, as each who may not see what is hidden.

mod databases;

use std::collections::BTreeSet;

use protocol::redteam::{RedTeamClass, RedTeamDetector, RedTeamPlan, RedTeamReport, RedTeamVerdict};
use protocol::rooms::document_id;
use rooms::Clearance;
use rooms::redteam::{
    Attack, Canary, Class, Observed, Request, Ring, Role, RoomFacts, Summary, Target, Verdict, attacks, chosen, judge,
    judge_pair,
};
use serde_json::json;

use super::observe::observe;
use super::player::{Player, Told, superseded, unanswered};
use super::{targets, times};
use crate::failure::Result;

/// Attempts between two looks at whether the index is still the same.
const LOOK_EVERY: usize = 50;
/// After so many in a row that nobody has answered, the others are not tried.
const UNANSWERED: u32 = 5;
/// What the traces of others are looked for in.
const TRACES: [&str; 7] = [
    "history",
    "audit",
    "documents",
    "documents?quarantined=true",
    "documents?mine=true",
    "state",
    "",
];

/// Tries everything.
///
/// # Errors
/// When nobody answers, or the Room is another one by now.
pub async fn run(player: &Player, plan: &RedTeamPlan, classes: Vec<Class>) -> Result<RedTeamReport> {
    let facts = player.facts().await?;
    let generation = facts
        .generation
        .ok_or_else(|| unanswered("nothing of it was published yet"))?;
    let (targets, missing) = targets::read(player, &facts, generation).await?;
    let facts = RoomFacts {
        targets,
        databases: facts.databases.into_iter().map(databases::described).collect(),
        answers: facts.answers,
        classes,
    };
    let mut run = Run {
        player,
        generation,
        facts: &facts,
        summary: Summary::default(),
        unanswered: 0,
        in_a_row: 0,
        attempts: 0,
        wished: BTreeSet::new(),
    };
    for _ in 0..missing {
        run.summary.add(Class::Direct, &Verdict::Blind);
    }
    let found = run.controls().await?;
    run.ask_databases().await?;
    run.attack(plan).await?;
    // Where nobody is answered, there is nothing to detect.
    let detectors = match run.facts.answers {
        true => detectors(player).await,
        false => Vec::new(),
    };
    run.look().await?;
    Ok(RedTeamReport {
        detectors,
        ..run.report(found, missing)?
    })
}

async fn detectors(player: &Player) -> Vec<RedTeamDetector> {
    let measured = player.detectors().await.detectors.into_iter();
    // Of no sentences nothing is known.
    let measured = measured.filter(|one| one.samples > 0);
    let counts = measured.map(|one| RedTeamDetector {
        name: one.name,
        found: one.found,
        missed: one.missed,
        falsely: one.falsely,
        passed: one.passed,
    });
    counts.collect()
}

struct Run<'a> {
    player: &'a Player,
    generation: i64,
    facts: &'a RoomFacts,
    summary: Summary,
    /// Attempts that nobody has answered, and those of them that were the last.
    unanswered: u64,
    in_a_row: u32,
    attempts: usize,
    /// Classes of what is tried.
    wished: BTreeSet<Class>,
}

impl Run<'_> {
    fn canaries(&self) -> Vec<Canary> {
        self.facts.targets.iter().map(|target| target.canary.clone()).collect()
    }

    /// Whoever may see the canaries finds them; how many.
    async fn controls(&mut self) -> Result<u64> {
        let all = self.canaries();
        let ring = Ring {
            visible: &all,
            foreign: &[],
            most: None,
        };
        let asked = attacks(&RoomFacts {
            classes: vec![Class::Direct],
            answers: false,
            ..self.facts.clone()
        });
        let mut found = BTreeSet::new();
        for attack in asked {
            let Request::Search { query } = &attack.request else {
                continue;
            };
            let told = self.player.search(Role::Control, query).await;
            self.heard(&told)?;
            let verdict = judge(&attack, &all[attack.target], &observe(&told), &ring);
            // Not each of them has to find it: each canary has to be found.
            if verdict == Verdict::Seen {
                self.summary.add(Class::Direct, &verdict);
                found.insert(attack.target);
            }
        }
        for _ in found.len()..all.len() {
            self.summary.add(Class::Direct, &Verdict::Blind);
        }
        Ok(found.len() as u64)
    }

    async fn attack(&mut self, plan: &RedTeamPlan) -> Result<()> {
        let all = attacks(self.facts);
        let mut list: Vec<(Role, Attack)> = all.iter().map(|attack| (Role::Stranger, attack.clone())).collect();
        let (on_databases, all): (Vec<Attack>, Vec<Attack>) =
            all.into_iter().partition(|attack| attack.class == Class::Sql);
        // A stranger to documents has the clearance for databases, which know no names.
        list.extend(on_databases.into_iter().filter_map(|attack| {
            let clearance = self.facts.databases[attack.target].clearance;
            (clearance.0 > 0).then_some((Role::Below(clearance), attack))
        }));
        let clearances: BTreeSet<Clearance> = self.canaries().iter().map(|canary| canary.clearance).collect();
        for clearance in clearances.into_iter().filter(|clearance| clearance.0 > 0) {
            let is_theirs = |attack: &&Attack| {
                let target = &self.facts.targets[attack.target];
                // Baits are for strangers.
                target.canary.clearance == clearance && !matches!(attack.request, Request::Bait { .. })
            };
            let theirs = all.iter().filter(is_theirs);
            list.extend(theirs.map(|attack| (Role::Below(clearance), attack.clone())));
        }
        let attacks: Vec<Attack> = list.iter().map(|(_, attack)| attack.clone()).collect();
        let has_baits = self.facts.targets.iter().any(|target| target.is_baited);
        if self.facts.answers && !has_baits && self.wishes(Class::Injection) {
            self.wished.insert(Class::Injection);
        }
        for place in chosen(&attacks, plan.run, plan.answers as usize) {
            let (role, attack) = &list[place];
            self.wished.insert(attack.class);
            self.one(*role, attack).await?;
            self.attempts += 1;
            if self.attempts.is_multiple_of(LOOK_EVERY) {
                self.look().await?;
            }
        }
        Ok(())
    }

    fn wishes(&self, class: Class) -> bool {
        self.facts.classes.is_empty() || self.facts.classes.contains(&class)
    }

    /// Whether what is attacked is still what answers.
    async fn look(&self) -> Result<()> {
        match self.player.facts().await?.generation == Some(self.generation) {
            true => Ok(()),
            false => Err(superseded()),
        }
    }

    async fn one(&mut self, role: Role, attack: &Attack) -> Result<()> {
        if let Request::Time { near, far } = &attack.request {
            times::compare(self.player, role, (near, far), &mut self.summary).await;
            return Ok(());
        }
        let verdict = self.verdict(role, attack).await?;
        if let Verdict::Leaked(findings) = &verdict {
            tracing::error!(attack = attack.id, %role, ?findings, "the Room leaks");
        }
        self.summary.add(attack.class, &verdict);
        Ok(())
    }

    async fn verdict(&mut self, role: Role, attack: &Attack) -> Result<Verdict> {
        if attack.class == Class::Sql {
            return self.database(role, attack).await;
        }
        let target = &self.facts.targets[attack.target];
        let player = self.player;
        match &attack.request {
            Request::Search { query } => {
                let told = player.search(role, query).await;
                self.judged(role, attack, &told, None)
            }
            Request::Ask { question } => {
                let told = player.ask(role, question).await;
                self.judged(role, attack, &told, None)
            }
            Request::AskAfterOthers { question } => {
                let before = player.ask(Role::Control, question).await;
                self.heard(&before)?;
                let told = player.ask(role, question).await;
                self.judged(role, attack, &told, None)
            }
            Request::Bait { document, question } => self.bait(role, attack, document, question).await,
            Request::Count => self.count(role, attack).await,
            Request::Document {
                source,
                document,
                absent,
            } => {
                let ids = [document_id(source, document), document_id(source, absent)];
                self.pairs(role, attack, ids).await
            }
            Request::Chunk { id, absent } => self.pairs(role, attack, [id.to_string(), absent.to_string()]).await,
            Request::Trace { query } => self.traces(role, attack, target, query).await,
            // It is timed elsewhere.
            Request::Time { .. } => Ok(Verdict::Blind),
        }
    }

    /// Notes whether somebody has answered.
    fn heard(&mut self, told: &Told) -> Result<()> {
        if !told.is_unanswered() {
            self.in_a_row = 0;
            return Ok(());
        }
        self.unanswered += 1;
        self.in_a_row += 1;
        match self.in_a_row < UNANSWERED {
            true => Ok(()),
            false => Err(unanswered(format!("the last answers had status {}", told.status))),
        }
    }

    fn judged(&mut self, role: Role, attack: &Attack, told: &Told, most: Option<u64>) -> Result<Verdict> {
        self.heard(told)?;
        Ok(self.look_at(role, attack, &observe(told), most))
    }

    /// The canaries that somebody sees, and those that they do not.
    fn seen(&self, role: Role) -> (Vec<Canary>, Vec<Canary>) {
        let sees = |canary: &Canary| match role {
            Role::Control => true,
            Role::Below(clearance) => canary.clearance < clearance,
            Role::Stranger => false,
        };
        self.canaries().into_iter().partition(sees)
    }

    fn look_at(&self, role: Role, attack: &Attack, observed: &Observed, most: Option<u64>) -> Verdict {
        let (visible, foreign) = self.seen(role);
        let ring = Ring {
            visible: &visible,
            foreign: &foreign,
            most,
        };
        judge(attack, &self.facts.targets[attack.target].canary, observed, &ring)
    }

    /// What is planted to be found has to be, or nothing is proved.
    async fn bait(&mut self, role: Role, attack: &Attack, document: &str, question: &str) -> Result<Verdict> {
        let found = self.player.search(role, question).await;
        let before = self.judged(role, attack, &found, None)?;
        if before != Verdict::Passed || !observe(&found).documents.iter().any(|name| name == document) {
            let is_leak = matches!(before, Verdict::Leaked(_));
            return Ok(if is_leak { before } else { Verdict::Blind });
        }
        let told = self.player.ask(role, question).await;
        self.judged(role, attack, &told, None)
    }

    /// Nobody is told of more documents than there are for them.
    async fn count(&mut self, role: Role, attack: &Attack) -> Result<Verdict> {
        let total = |told: &Told| told.json()?["total"].as_u64();
        let mut all = 0;
        let mut listed = Vec::new();
        for who in [Role::Control, role, Role::Control] {
            let told = self.player.get(who, "documents?limit=1").await;
            self.heard(&told)?;
            match (who, total(&told)) {
                (Role::Control, Some(total)) => all = all.max(total),
                (_, Some(_)) => listed.push(told),
                (_, None) => return Ok(Verdict::Blind),
            }
        }
        listed.push(self.player.get(role, "").await);
        let is_hidden = |target: &&Target| match role {
            Role::Control => false,
            Role::Below(clearance) => target.canary.clearance >= clearance,
            Role::Stranger => true,
        };
        let hidden = self.facts.targets.iter().filter(is_hidden).count() as u64;
        let baits = match (role, self.facts.targets.iter().find(|target| target.is_baited)) {
            (Role::Stranger, Some(target)) => rooms::redteam::Bait::of(&target.canary).len() as u64,
            _ => 0,
        };
        let most = (all + baits).saturating_sub(hidden);
        for told in listed {
            match self.judged(role, attack, &told, Some(most))? {
                Verdict::Passed => {}
                other => return Ok(other),
            }
        }
        Ok(Verdict::Passed)
    }

    /// What is forbidden and what is not there are the same.
    async fn pairs(&mut self, role: Role, attack: &Attack, [forbidden, absent]: [String; 2]) -> Result<Verdict> {
        for rest in ["", "/pages/1"] {
            let mut told = Vec::new();
            for id in [&forbidden, &absent] {
                told.push(self.player.get(role, &format!("documents/{id}{rest}")).await);
            }
            for (told, id) in told.iter().zip([&forbidden, &absent]) {
                match self.judged(role, attack, told, None)? {
                    Verdict::Passed => {}
                    other => {
                        tracing::debug!(id, "one of a pair was not passed");
                        return Ok(other);
                    }
                }
            }
            let [one, other] = [observe(&told[0]), observe(&told[1])];
            match judge_pair((&one, &forbidden), (&other, &absent)) {
                Verdict::Passed => {}
                other => return Ok(other),
            }
        }
        Ok(Verdict::Passed)
    }

    /// What others have left behind: their questions, and whatever is said of their answers.
    async fn traces(&mut self, role: Role, attack: &Attack, target: &Target, query: &str) -> Result<Verdict> {
        let id = document_id(&target.canary.source, &target.canary.document());
        let mut told = Vec::new();
        for path in TRACES {
            told.push(self.player.get(role, path).await);
        }
        told.push(self.player.get(role, &format!("documents?after={id}")).await);
        let said = json!({"id": query, "kind": "thumbs", "value": "up"});
        told.push(self.player.post(role, "feedback", &said).await);
        for told in told {
            match self.judged(role, attack, &told, None)? {
                Verdict::Passed => {}
                other => return Ok(other),
            }
        }
        Ok(Verdict::Passed)
    }

    fn report(self, found: u64, missing: u64) -> Result<RedTeamReport> {
        let wished: Vec<Class> = self.wished.into_iter().collect();
        let mut failures = self.summary.failures(&wished);
        let canaries = self.facts.targets.len() as u64 + missing;
        if found < canaries {
            let lacking = canaries - found;
            failures.push(format!(
                "{lacking} of {canaries} canaries were not found by whoever may see them"
            ));
        }
        let total = self.summary.total();
        let leaks = total.leaked + self.summary.leaks_by_time() as u64;
        let verdict = match (leaks, failures.is_empty()) {
            (1.., _) => RedTeamVerdict::Leaked,
            (0, true) => RedTeamVerdict::Passed,
            // What nobody has answered says nothing, and is tried again.
            (0, false) if self.unanswered > 0 => return Err(unanswered(failures.join("; "))),
            (0, false) => RedTeamVerdict::Blind,
        };
        let classes = self.summary.classes.iter().map(|(class, counts)| RedTeamClass {
            name: class.as_str().into(),
            attempts: counts.attempts,
            leaked: match class {
                Class::Timing => self.summary.leaks_by_time() as u64,
                _ => counts.leaked,
            },
            blind: counts.blind,
        });
        Ok(RedTeamReport {
            generation: self.generation.unsigned_abs(),
            verdict,
            canaries,
            found,
            attempts: total.attempts,
            classes: classes.collect(),
            failures,
            detectors: Vec::new(),
        })
    }
}
