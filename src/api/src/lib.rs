//! The Kubernetes API of Atelier: the kinds of group `atelier.dev`, their validation rules, and the
//! names, conditions and reasons that the components agree on.
//!
//! Decimal numbers are strings everywhere (`"0.02"`, `"5%"`): floating point does not survive a
//! round trip through clients of different languages. Sizes are in bytes, tokens or Kubernetes
//! quantities, times in Go's duration notation with days added (`90s`, `1h30m`, `7d`).

pub mod cel_cases;
pub mod common;
pub mod conditions;
pub mod crd;
pub mod finetunejob;
pub mod generate;
pub mod llmmodel;
pub mod names;
pub mod rbac;
pub mod reasons;
pub mod room;
pub mod shadowdeployment;

pub use finetunejob::{FineTuneJob, FineTuneJobSpec, FineTuneJobStatus};
pub use llmmodel::{LlmModel, LlmModelSpec, LlmModelStatus};
pub use room::{Room, RoomSpec, RoomStatus};
pub use shadowdeployment::{ShadowDeployment, ShadowDeploymentSpec, ShadowDeploymentStatus};
