//! Keys, passwords and tokens, in the shapes that their issuers document, and what is assigned to a name that says so.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use crate::rule::{Candidate, Rule};

static RULES: LazyLock<Vec<Arc<Rule>>> = LazyLock::new(|| {
    let known = [
        // "IAM identifiers": the prefixes of long-term and temporary keys.
        ("AWS_KEY", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
        // "Behind GitHub's new authentication token formats".
        (
            "GITHUB_TOKEN",
            r"\b(?:gh[oprsu]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})",
        ),
        ("GITLAB_TOKEN", r"\bgl(?:pat|ptt|rt|dt|oas)-[A-Za-z0-9_-]{20,}"),
        ("SLACK_TOKEN", r"\bxox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}"),
        (
            "SLACK_WEBHOOK",
            r"hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{8,}/[A-Za-z0-9]{8,}/[A-Za-z0-9]{16,}",
        ),
        (
            "GOOGLE_KEY",
            r"\b(?:AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28})",
        ),
        (
            "AZURE_KEY",
            r"(?i)\b(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{43,88}={1,2}",
        ),
        ("STRIPE_KEY", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
        ("NPM_TOKEN", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("PYPI_TOKEN", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
        ("HUGGING_FACE_TOKEN", r"\bhf_[A-Za-z]{34}\b"),
        ("SENDGRID_KEY", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
        // RFC 7519, 7515: the first two parts are JSON objects.
        (
            "JWT",
            r"\beyJ[A-Za-z0-9_-]{8,512}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
        ),
        ("PRIVATE_KEY", PEM),
    ];
    let judged = [
        Rule::preferred("API_KEY", r"\bsk-[A-Za-z0-9_-]{20,}", random),
        Rule::preferred(
            "CREDENTIALS",
            r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,15}://[^\s/:@<>{}]{1,64}:[^\s/@<>{}]{3,128}@",
            login,
        ),
        Rule::preferred("SECRET", ASSIGNED, assigned),
    ];
    let known = known.map(|(kind, pattern)| Rule::certain(kind, pattern));
    known.into_iter().chain(judged).map(Arc::new).collect()
});

/// RFC 7468. Where the end is missing, the lines that look like base64 go along.
const PEM: &str = concat!(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    r"(?:(?:[^-]|-{1,4}[^-])*-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    r"|(?:(?:\s|\\[nr])+[A-Za-z0-9+/=]{16,})*)",
);

/// What is written after the name of a secret.
const ASSIGNED: &str = concat!(
    r#"(?i)(?:passw(?:or)?d|passphrase|pwd|secret|credential|token|api[_ -]?key|access[_-]?key|account[_-]?key|"#,
    r#"private[_-]?key|encryption[_-]?key|hasło|passwort|contraseña|mot de passe)["'`]?\s{0,3}(?:=>|:=|=|:)\s{0,3}["'`]?"#,
    r#"[^\s"'`<>,;(){}]{6,}"#,
);

/// All rules.
pub fn rules() -> Vec<Arc<Rule>> {
    RULES.clone()
}

fn random(candidate: Candidate<'_>) -> Option<f64> {
    let value = candidate.text.rsplit('-').next().unwrap_or_default();
    let is_mixed =
        value.bytes().any(|byte| byte.is_ascii_digit()) && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    (is_mixed && entropy(candidate.text) > 3.2).then_some(0.9)
}

fn login(candidate: Candidate<'_>) -> Option<f64> {
    let password = candidate.text.trim_end_matches('@').rsplit(':').next()?;
    (!is_placeholder(password)).then_some(0.8)
}

fn assigned(candidate: Candidate<'_>) -> Option<f64> {
    let (_, value) = candidate.text.split_once(['=', ':'])?;
    let value = value.trim_start_matches(['=', '>', ' ', '\t', '\n', '\r', '"', '\'', '`']);
    if value.len() < 6 || is_placeholder(value) {
        return None;
    }
    let has = |class: fn(&u8) -> bool| value.bytes().any(|byte| class(&byte));
    let classes = [
        u8::is_ascii_digit,
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
        u8::is_ascii_punctuation,
    ];
    let classes = classes.into_iter().filter(|class| has(*class)).count();
    // A word of a language has one class, and a code of seven characters hardly any entropy.
    match (classes, entropy(value)) {
        (3.., bits) if bits >= 2.5 => Some(0.8),
        (2, bits) if bits >= 3.0 && has(u8::is_ascii_digit) => Some(0.7),
        (2, bits) if bits >= 2.5 => Some(0.4),
        _ => None,
    }
}

/// What stands where a secret would.
fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 14] = [
        "example",
        "placeholder",
        "changeme",
        "your",
        "redacted",
        "xxxx",
        "****",
        "....",
        "process.env",
        "os.environ",
        "getenv",
        "secretkeyref",
        "[secret]",
        "null",
    ];
    let lower = value.to_lowercase();
    let is_reference = value.starts_with(['$', '%', '<', '{', '[', '&']);
    is_reference || WORDS.iter().any(|word| lower.contains(word))
}

/// Bits of each character by Shannon's formula.
fn entropy(text: &str) -> f64 {
    let mut counts = BTreeMap::new();
    for byte in text.bytes() {
        *counts.entry(byte).or_insert(0u32) += 1;
    }
    let length = text.len() as f64;
    let of = |count: u32| {
        let share = f64::from(count) / length;
        -share * share.log2()
    };
    counts.into_values().map(of).sum()
}
