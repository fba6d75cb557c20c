//! Personal data, as guardrails find them.

use std::{borrow::Cow, sync::Arc};

use guard::{Action, CheckSpec, Detector, Guard, Guardrails, Spec};
use protocol::tune::PersonalData;

/// Finds personal data.
#[derive(Clone, Debug)]
pub struct Personal {
    guard: Arc<Guard>,
    /// Replaces what `guard` finds, whatever becomes of the record.
    veil: Arc<Guard>,
    action: PersonalData,
}

impl Personal {
    /// Nothing if they are kept.
    pub fn new(action: PersonalData) -> Option<Self> {
        if action == PersonalData::Keep {
            return None;
        }
        let veil = guard(Action::Redact);
        let guard = match action {
            PersonalData::Drop => guard(Action::Refuse),
            _ => veil.clone(),
        };
        Some(Self { guard, veil, action })
    }

    /// `text` with the kind of each find in its place, if that is asked for.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.action {
            PersonalData::Redact => self.veiled(text),
            _ => text.into(),
        }
    }

    /// The same in any case: what is shown to a human.
    pub fn veiled<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !may_have(text) {
            return text.into();
        }
        let mut out = String::with_capacity(text.len());
        let mut stream = self.veil.whole();
        // It refuses nothing that it can redact.
        let is_whole = stream
            .push(text, &mut out)
            .and_then(|()| stream.finish(&mut out))
            .is_ok();
        debug_assert!(is_whole, "a redacting guard refused");
        if stream.report().is_empty() {
            text.into()
        } else {
            out.into()
        }
    }

    /// Whether `text` has to be dropped.
    pub fn is_dropped(&self, text: &str) -> bool {
        if self.action != PersonalData::Drop || !may_have(text) {
            return false;
        }
        let mut out = String::new();
        let mut stream = self.guard.whole();
        stream
            .push(text, &mut out)
            .and_then(|()| stream.finish(&mut out))
            .is_err()
    }
}

fn guard(on_violation: Action) -> Arc<Guard> {
    let check = CheckSpec {
        name: "pii".into(),
        detector: Detector::PersonalData,
        pattern: None,
        model: None,
        kinds: Vec::new(),
        locales: Vec::new(),
        max_length: None,
        threshold: None,
        webhook: None,
        on_violation: Some(on_violation),
    };
    let spec = Spec {
        output: vec![check],
        ..Spec::default()
    };
    let rails = Guardrails::compile(&spec).expect("personal data can be looked for, whatever happens then");
    rails.output
}

/// Whether there can be a find. Addresses have an `@`, and numbers six digits, but for Italian tax codes: they have 16
/// characters, and letters for digits where two people would have the same.
fn may_have(text: &str) -> bool {
    let (mut digits, mut run) = (0, 0);
    for byte in text.bytes() {
        digits += usize::from(byte.is_ascii_digit());
        run = if byte.is_ascii_alphanumeric() { run + 1 } else { 0 };
        if byte == b'@' || digits == 6 || run == 16 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("write to jane.doe@example.org today", "write to [EMAIL] today")]
    #[case("call +49 30 901820 now", "call [PHONE] now")]
    #[case("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [IBAN].")]
    #[case("4111 1111 1111 1111", "[PAYMENT_CARD]")]
    #[case("nothing here", "nothing here")]
    #[case("in 2024, 1.250 people", "in 2024, 1.250 people")]
    fn is_replaced_by_its_kind(#[case] text: &str, #[case] expected: &str) {
        let personal = Personal::new(PersonalData::Redact).unwrap();
        assert_eq!(personal.redact(text), expected);
        assert!(!personal.is_dropped(text));
        let personal = Personal::new(PersonalData::Drop).unwrap();
        assert_eq!(personal.is_dropped(text), text != expected);
        assert_eq!(personal.redact(text), text);
    }

    #[rstest]
    #[case("a@b", true)]
    #[case("1.234,56", true)]
    #[case("12345", false)]
    #[case("RSSMRAURTMLFTOMU", true)]
    #[case("words and more words", false)]
    fn texts_without_a_find_are_told_fast(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(may_have(text), expected);
    }

    #[test]
    fn is_kept_unless_asked() {
        assert!(Personal::new(PersonalData::Keep).is_none());
    }
}
