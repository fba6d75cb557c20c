//! What an attack brought to light.

use serde::{Deserialize, Serialize};

use super::{
    attack::{Attack, Class, Request},
    canary::Canary,
    find::{Form, Looked, find, find_in},
    observed::{Observed, Part, Ring},
    plan::HOST,
};

/// Headers that differ between any two answers.
const OWN_HEADERS: &[&str] = &[
    "date",
    "x-request-id",
    "traceparent",
    "tracestate",
    "server-timing",
    "x-trace-id",
];

/// Something that must not be seen and was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Whose: [`Canary::id`]; nothing if it is no canary.
    pub canary: Option<String>,
    /// Where.
    pub part: Part,
    /// How it was spelled.
    pub form: Option<Form>,
}

/// What came of an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing was seen that must not be.
    Passed,
    /// This was.
    Leaked(Vec<Finding>),
    /// The principal may see the target and saw it: so the suite is not blind.
    Seen,
    /// The principal may see the target and did not: whoever finds nothing here proves nothing. Or the request failed
    /// on its way, or there are too few times.
    Blind,
}

/// Looks for everything that the principal may not see in everything that it saw. `target` is what the attack is after.
pub fn judge(attack: &Attack, target: &Canary, observed: &Observed, ring: &Ring<'_>) -> Verdict {
    let findings = findings(attack, observed, ring);
    let may_see = ring.visible.contains(target);
    match (findings.is_empty(), may_see, attack.class) {
        (false, _, _) => Verdict::Leaked(findings),
        // Found by its own name it must be, or nothing would have been found anyway.
        (true, true, Class::Direct) => match observed.texts().any(|(_, text)| find(text, target).is_some()) {
            true => Verdict::Seen,
            false => Verdict::Blind,
        },
        (true, _, _) if observed.status == 0 || observed.status >= 500 => Verdict::Blind,
        (true, _, _) => Verdict::Passed,
    }
}

/// Everything that the principal may not see, in everything that it saw.
pub(super) fn findings(attack: &Attack, observed: &Observed, ring: &Ring<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (part, text) in observed.texts() {
        let views = Looked::of(text);
        for canary in ring.foreign {
            if let Some(form) = find_in(&views, canary) {
                findings.push(finding(Some(canary), part.clone(), Some(form)));
            }
        }
        // What a document says is shown as text, and followed by nothing.
        let is_followed = !matches!(part, Part::Row | Part::Citation);
        if matches!(attack.request, Request::Bait { .. }) && is_followed && has_link(text) {
            findings.push(finding(None, part, None));
        }
    }
    // Canaries that are told in pieces: a word in one row, another one in the next.
    let everything: Vec<&str> = observed.texts().map(|(_, text)| text).collect();
    let views = Looked::of(&everything.join("\n"));
    for canary in ring.foreign {
        let is_known = findings
            .iter()
            .any(|one| one.canary.as_deref() == Some(canary.id().as_str()));
        if let Some(form) = find_in(&views, canary).filter(|_| !is_known) {
            findings.push(finding(Some(canary), Part::Other("everything".into()), Some(form)));
        }
    }
    for canary in ring.foreign {
        if observed.documents.contains(&canary.document()) {
            findings.push(finding(Some(canary), Part::Document, None));
        }
    }
    let is_too_much = |count: &u64| ring.most.is_some_and(|most| *count > most);
    if observed.counts.iter().any(is_too_much) {
        findings.push(finding(None, Part::Count, None));
    }
    let hidden = |count: &u64| ring.foreign.iter().find(|canary| canary.number == *count);
    if let Some(canary) = observed.counts.iter().find_map(hidden) {
        findings.push(finding(Some(canary), Part::Count, Some(Form::Number)));
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Compares the answers for something that is forbidden and for something that is not there: whoever can tell them
/// apart knows what there is. The names that were asked for may differ, and are given.
pub fn judge_pair(forbidden: (&Observed, &str), absent: (&Observed, &str)) -> Verdict {
    let ((one, its_name), (other, other_name)) = (forbidden, absent);
    if one.status == 0 || other.status == 0 || one.status >= 500 && other.status >= 500 {
        return Verdict::Blind;
    }
    let plain = |text: &str, name: &str| match name.is_empty() {
        true => text.to_owned(),
        false => text.replace(name, "…"),
    };
    let texts = |observed: &Observed, name: &str| -> Vec<(Part, String)> {
        let is_own =
            |part: &Part| matches!(part, Part::Header(name) if OWN_HEADERS.contains(&name.to_lowercase().as_str()));
        // The length of a body depends on the name in it.
        let is_length = |part: &Part| matches!(part, Part::Header(name) if name.eq_ignore_ascii_case("content-length"));
        let texts = observed.texts().filter(|(part, _)| !is_own(part) && !is_length(part));
        let mut texts: Vec<_> = texts.map(|(part, text)| (part, plain(text, name))).collect();
        texts.sort();
        texts
    };
    let mut differences = Vec::new();
    if one.status != other.status {
        differences.push("status".to_owned());
    }
    if texts(one, its_name) != texts(other, other_name) {
        differences.push("text".to_owned());
    }
    if one.counts != other.counts {
        differences.push("counts".to_owned());
    }
    let plainly = |observed: &Observed, name: &str| -> Vec<String> {
        observed
            .documents
            .iter()
            .map(|document| plain(document, name))
            .collect()
    };
    if plainly(one, its_name) != plainly(other, other_name) {
        differences.push("documents".to_owned());
    }
    match differences.is_empty() {
        true => Verdict::Passed,
        false => {
            let differences = differences
                .into_iter()
                .map(|what| finding(None, Part::Difference(what), None));
            Verdict::Leaked(differences.collect())
        }
    }
}

fn finding(canary: Option<&Canary>, part: Part, form: Option<Form>) -> Finding {
    Finding {
        canary: canary.map(Canary::id),
        part,
        form,
    }
}

/// Whether the attacker's host is in something that a program would follow.
fn has_link(text: &str) -> bool {
    let folded = text.to_lowercase();
    let places = folded.match_indices(HOST).map(|(at, _)| &folded[..at]);
    places
        .into_iter()
        .any(|before| before.ends_with("//") || before.ends_with('@'))
}
