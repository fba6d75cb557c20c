//! Why a request cannot be translated.

/// What a provider does not do, or what a request has wrong. Always the caller's to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The provider has nothing of the kind.
    Operation,
    /// The provider has no such settings.
    Fields(Vec<String>),
    /// A field cannot be read.
    Invalid {
        /// Where it is: `messages[2].content`.
        field: String,
        /// What it must be.
        expected: &'static str,
    },
}

impl Refusal {
    /// A field that cannot be read.
    pub fn invalid(field: impl Into<String>, expected: &'static str) -> Self {
        Self::Invalid {
            field: field.into(),
            expected,
        }
    }
}
