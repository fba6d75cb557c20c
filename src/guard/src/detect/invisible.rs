//! Characters that nobody sees and models read.
//!
//! Unicode Standard, Annex 31 and UTS 55 ("Source Code Handling"), and what has been used to smuggle text: tags, bidirectional
//! controls, runs of zero-width characters and of variation selectors. The joiners of emoji, of Persian and of Indic scripts are
//! single, and so are those between the letters of other scripts than Latin; they stay.

use std::sync::{Arc, LazyLock};

use crate::rule::{Candidate, Rule};

/// The kind of all finds. They are redacted to nothing.
pub const INVISIBLE: &str = "INVISIBLE";

static RULES: LazyLock<Vec<Arc<Rule>>> = LazyLock::new(|| {
    let rules = [
        Rule::preferred(INVISIBLE, r"[\u{E0000}-\u{E007F}]+", tags),
        Rule::certain(INVISIBLE, r"[\u{202A}-\u{202E}\u{2066}-\u{2069}]+"),
        Rule::certain(
            INVISIBLE,
            r"[\u{180E}\u{200B}-\u{200F}\u{2060}-\u{2064}\u{206A}-\u{206F}\u{FEFF}\u{FFF9}-\u{FFFB}\u{3164}\u{115F}\u{1160}]{2,}",
        ),
        Rule::certain(INVISIBLE, r"[\u{FE00}-\u{FE0F}\u{E0100}-\u{E01EF}]{2,}"),
        // Inside a word of Latin letters: `ig` and `nore`.
        Rule::certain(INVISIBLE, r"\b[\u{200B}-\u{200D}\u{2060}\u{FEFF}]\b"),
    ];
    rules.map(Arc::new).into()
});

/// All rules.
pub fn rules() -> Vec<Arc<Rule>> {
    RULES.clone()
}

/// Flags of regions are a black flag, a few tags and a tag that ends them (UTS 51, ED-14a).
fn tags(candidate: Candidate<'_>) -> Option<f64> {
    const TAGS: std::ops::RangeInclusive<char> = '\u{E0000}'..='\u{E007F}';
    // The whole run was a flag, else it would be found.
    if candidate.before.ends_with(|c| TAGS.contains(&c)) {
        return None;
    }
    let is_flag = candidate.before.ends_with('\u{1F3F4}')
        && candidate.text.ends_with('\u{E007F}')
        && (4..=7).contains(&candidate.text.chars().count());
    (!is_flag).then_some(1.0)
}
