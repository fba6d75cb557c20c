//! What is said to webhooks, and what they may say.

use std::collections::BTreeMap;

use guard::Action;
use serde::{Deserialize, Serialize};

/// The form of what is said here. It changes when a field goes or means something else.
pub const VERSION: &str = "v1";

/// More than this in one text is no list of finds.
const MAX_SPANS: usize = 4096;
const MAX_KIND: usize = 40;
/// What a span is replaced by that has no kind.
const NO_KIND: &str = "REDACTED";

/// A question.
#[derive(Clone, Debug, Serialize)]
pub struct Question<'a> {
    /// [`VERSION`].
    pub version: &'static str,
    /// The `x-request-id` of the request.
    pub id: &'a str,
    /// `namespace/name`.
    pub model: &'a str,
    /// What was asked of it.
    pub operation: &'static str,
    /// The check that asks.
    pub check: &'a str,
    /// `input` or `output`.
    pub direction: &'static str,
    /// Whether the texts end here; a stream may go on.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The texts.
    pub texts: &'a [Text],
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Whether it is by somebody who may instruct the model.
    pub trusted: bool,
}

/// An answer, as it was sent.
#[derive(Debug, Deserialize)]
struct Answer {
    verdict: Verdict,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Allow,
    Refuse,
    Redact,
    Annotate,
}

#[derive(Clone, Debug, Deserialize)]
struct Span {
    #[serde(default)]
    text: usize,
    start: usize,
    end: usize,
    kind: Option<String>,
}

/// A place in a text, in bytes, and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What it is.
    pub kind: String,
}

/// An answer that makes sense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What happens; `None` if all is well.
    pub action: Option<Action>,
    /// What was found in each text, in order and apart.
    pub finds: Vec<Vec<Find>>,
}

impl Judgement {
    /// The answer to a question about `texts`; `None` if it is none.
    pub fn read(body: &[u8], texts: &[Text]) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(body).ok()?;
        if answer.spans.len() > MAX_SPANS {
            return None;
        }
        let mut of_text = vec![Vec::new(); texts.len()];
        for span in answer.spans {
            of_text.get_mut(span.text)?.push(span);
        }
        let finds = texts.iter().zip(of_text).map(|(text, spans)| finds(&text.text, &spans));
        let mut finds = finds.collect::<Option<Vec<_>>>()?;
        finds.iter_mut().for_each(merge);
        let action = match answer.verdict {
            Verdict::Allow => None,
            Verdict::Refuse => Some(Action::Refuse),
            Verdict::Redact => Some(Action::Redact),
            Verdict::Annotate => Some(Action::Annotate),
        };
        // Nothing would be done about something that is bad.
        let is_empty = finds.iter().all(Vec::is_empty);
        (action != Some(Action::Redact) || !is_empty).then_some(Self { action, finds })
    }

    /// How often what was found, in `ends[i]` bytes of each text.
    pub fn kinds(&self, ends: &[usize]) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        for (finds, end) in self.finds.iter().zip(ends) {
            for find in finds.iter().filter(|find| find.end <= *end) {
                *kinds.entry(find.kind.clone()).or_default() += 1;
            }
        }
        kinds
    }
}

/// Puts finds in order and apart. Of two that overlap both go, by the name of the first.
pub fn merge(finds: &mut Vec<Find>) {
    finds.sort_by_key(|find| (find.start, find.end));
    finds.dedup_by(|later, first| {
        let overlaps = later.start < first.end;
        if overlaps {
            first.end = first.end.max(later.end);
        }
        overlaps
    });
}

/// Where spans are, which are in characters.
fn finds(text: &str, spans: &[Span]) -> Option<Vec<Find>> {
    if spans.is_empty() {
        return Some(Vec::new());
    }
    let places: Vec<usize> = text
        .char_indices()
        .map(|(place, _)| place)
        .chain([text.len()])
        .collect();
    let find = |span: &Span| {
        let (start, end) = (*places.get(span.start)?, *places.get(span.end)?);
        let kind = span.kind.as_deref().unwrap_or(NO_KIND);
        (start < end && is_kind(kind)).then(|| Find {
            start,
            end,
            kind: kind.into(),
        })
    };
    spans.iter().map(find).collect()
}

/// Whether it may stand for what was found.
fn is_kind(kind: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_KIND).contains(&kind.len()) && kind.bytes().all(is_plain)
}

/// `text` with its finds replaced by what they are.
pub fn redacted(text: &str, finds: &[Find]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    for find in finds {
        redacted.push_str(&text[done..find.start]);
        redacted.push('[');
        redacted.push_str(&find.kind);
        redacted.push(']');
        done = find.end;
    }
    redacted.push_str(&text[done..]);
    redacted
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn texts() -> Vec<Text> {
        ["zażółć", "no"]
            .map(|text| Text {
                text: text.into(),
                trusted: false,
            })
            .into()
    }

    fn read(body: &str) -> Option<Judgement> {
        Judgement::read(body.as_bytes(), &texts())
    }

    #[test]
    fn spans_count_characters() {
        let judgement =
            read(r#"{"verdict":"redact","spans":[{"start":2,"end":4,"kind":"X"},{"text":1,"start":0,"end":2}]}"#);
        let judgement = judgement.unwrap();
        assert_eq!(judgement.action, Some(Action::Redact));
        assert_eq!(redacted(&texts()[0].text, &judgement.finds[0]), "za[X]łć");
        assert_eq!(redacted(&texts()[1].text, &judgement.finds[1]), "[REDACTED]");
        let kinds = judgement.kinds(&[2, 2]);
        assert_eq!(kinds, BTreeMap::from([("REDACTED".into(), 1)]));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_found_leaves_the_rest_as_it_is(text in ".{0,40}", spans in proptest::collection::vec((0..50_usize, 0..50_usize), 1..6)) {
            let texts = [Text { text, trusted: false }];
            let body = serde_json::json!({"verdict": "redact", "spans": spans.iter().map(|(start, end)| {
                serde_json::json!({"start": start, "end": end, "kind": "X"})
            }).collect::<Vec<_>>()});
            let length = texts[0].text.chars().count();
            let makes_sense = spans.iter().all(|(start, end)| start < end && *end <= length);
            let judgement = Judgement::read(body.to_string().as_bytes(), &texts);
            proptest::prop_assert_eq!(judgement.is_some(), makes_sense);
            if let Some(judgement) = judgement {
                let is_in = |place: &usize| spans.iter().any(|(start, end)| (start..end).contains(&place));
                let kept: usize = (0..length).filter(|place| !is_in(place)).count();
                let redacted = redacted(&texts[0].text, &judgement.finds[0]);
                proptest::prop_assert_eq!(redacted.chars().count(), kept + 3 * judgement.finds[0].len());
            }
        }
    }

    #[test]
    fn what_overlaps_is_one_find() {
        let judgement = read(
            r#"{"verdict":"redact","spans":[{"start":3,"end":5,"kind":"B"},{"start":1,"end":4,"kind":"A"},{"start":5,"end":6,"kind":"C"}]}"#,
        );
        assert_eq!(redacted(&texts()[0].text, &judgement.unwrap().finds[0]), "z[A][C]");
    }

    #[rstest]
    #[case("")]
    #[case("allow")]
    #[case("{}")]
    #[case(r#"{"verdict":"maybe"}"#)]
    #[case(r#"{"verdict":"redact"}"#)]
    #[case(r#"{"verdict":"redact","spans":[{"start":0,"end":7}]}"#)]
    #[case(r#"{"verdict":"redact","spans":[{"start":2,"end":2}]}"#)]
    #[case(r#"{"verdict":"redact","spans":[{"start":-1,"end":2}]}"#)]
    #[case(r#"{"verdict":"redact","spans":[{"text":2,"start":0,"end":1}]}"#)]
    #[case(r#"{"verdict":"redact","spans":[{"start":0,"end":1,"kind":"a] b"}]}"#)]
    #[case(r#"{"verdict":"redact","spans":[{"start":0,"end":1,"kind":""}]}"#)]
    fn what_makes_no_sense_is_no_answer(#[case] body: &str) {
        assert_eq!(read(body), None);
    }

    #[rstest]
    #[case(r#"{"verdict":"allow","more":{"to":"come"}}"#, None)]
    #[case(r#"{"verdict":"refuse"}"#, Some(Action::Refuse))]
    #[case(r#"{"verdict":"annotate"}"#, Some(Action::Annotate))]
    fn verdicts_need_no_spans(#[case] body: &str, #[case] action: Option<Action>) {
        assert_eq!(read(body).unwrap().action, action);
    }
}
