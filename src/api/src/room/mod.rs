//! Room: documents that its members may search and ask about.

mod access;
mod answer;
mod ingestion;
mod member;
mod retrieval;
mod source;
mod status;

pub use access::{Access, NetworkAccess, RedTeam, RedTeamSuite, Retention};
pub use answer::{Answer, AnswerDetector, Citations, Ungrounded};
pub use ingestion::{Chunking, Ingestion};
pub use member::{Member, MemberKind, Role};
pub use retrieval::Retrieval;
pub use source::{GitSource, Ocr, RoomSource, SqlColumn, SqlSource, SqlTable, UploadSource, WebSource};
pub use status::{
    DetectorStatus, Quarantined, RedTeamFinding, RedTeamStatus, RedTeamVerdict, RoomStatus, SourceStatus, SyncStatus,
};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{common::ModelRef, llmmodel::Feedback};

/// Who may enter, what is inside, and how questions are answered.
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "atelier.dev",
    version = "v1alpha1",
    kind = "Room",
    plural = "rooms",
    shortname = "room",
    category = "atelier",
    namespaced,
    status = "RoomStatus",
    derive = "PartialEq",
    cel,
    doc = "Documents that only its members may search and ask a model about.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Documents", type_ = "integer", json_path = ".status.documents"),
    printcolumn(name = "Chunks", type_ = "integer", json_path = ".status.chunks"),
    printcolumn(name = "Synced", type_ = "date", json_path = ".status.lastSync", description = "When the sources were read last"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model.name", priority = 1),
    printcolumn(name = "Recall@10", type_ = "string", json_path = ".status.recallAt10", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("Room metadata.name must be at most 40 characters of a-z, 0-9 and '-', start with a letter and end with a letter or digit"),
    validation = Rule::new("has(self.spec.model) || !has(self.spec.sources) || !self.spec.sources.exists(s, has(s.sql))")
        .message("sources[].sql needs model: the Room's model writes what the database is asked"),
)]
#[serde(rename_all = "camelCase")]
pub struct RoomSpec {
    /// Who may enter; becomes Roles and RoleBindings. Default: nobody but those whom RBAC lets in anyway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name", "role"])
    )]
    pub members: Vec<Member>,
    /// LlmModel (task Generate) that answers. Default: none, the Room can only be searched.
    pub model: Option<ModelRef>,
    /// LlmModel (task Embed) that turns text into vectors.
    pub embedding: ModelRef,
    /// LlmModel (task Rerank) that orders what was found. Default: none.
    pub reranker: Option<ModelRef>,
    /// Where documents come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub sources: Vec<RoomSource>,
    /// How documents become chunks.
    pub ingestion: Option<Ingestion>,
    /// How chunks are found.
    pub retrieval: Option<Retrieval>,
    /// How questions are answered.
    pub answer: Option<Answer>,
    /// How fresh access rights must be, and from where the Room may be entered.
    pub access: Option<Access>,
    /// How long questions and answers are kept.
    pub retention: Option<Retention>,
    /// What becomes of users' feedback.
    pub feedback: Option<Feedback>,
    /// Regular attempts to make the Room leak. Default: none.
    pub red_team: Option<RedTeam>,
}
