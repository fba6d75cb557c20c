//! Who may enter a Room.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{VERB_ASK, VERB_AUDIT, VERB_CONTRIBUTE, VERB_CURATE, VERB_FEEDBACK, VERB_REDTEAM, VERB_SEARCH};

/// Somebody who may enter, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.kind != 'ServiceAccount' || self.name.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
    .message("members[].name of a ServiceAccount must be NAME or NAMESPACE/NAME")
    .field_path(".name"))]
pub struct Member {
    /// What kind of name it is.
    pub kind: MemberKind,
    /// User or group as the API server knows it, or a ServiceAccount: `name`, or `namespace/name` for one of
    /// another namespace.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Highest clearance of documents that they may see. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub clearance: i32,
}

/// Kinds of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MemberKind {
    /// A person.
    User,
    /// A group of people.
    Group,
    /// A program.
    ServiceAccount,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// Search, ask, give feedback.
    Reader,
    /// The same, and add documents.
    Contributor,
    /// The same, and remove documents, release quarantined ones and run adversarial tests.
    Curator,
    /// Read the audit log.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Contributor, Self::Curator, Self::Auditor];

    /// In lower case, for names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Contributor => "contributor",
            Self::Curator => "curator",
            Self::Auditor => "auditor",
        }
    }

    /// The verbs of RBAC on the Room that it stands for.
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Reader => &[VERB_SEARCH, VERB_ASK, VERB_FEEDBACK],
            Self::Contributor => &[VERB_SEARCH, VERB_ASK, VERB_FEEDBACK, VERB_CONTRIBUTE],
            Self::Curator => &[
                VERB_SEARCH,
                VERB_ASK,
                VERB_FEEDBACK,
                VERB_CONTRIBUTE,
                VERB_CURATE,
                VERB_REDTEAM,
            ],
            Self::Auditor => &[VERB_AUDIT],
        }
    }
}
