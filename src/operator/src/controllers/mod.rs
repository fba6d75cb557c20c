//! One module for each kind that is reconciled, and what they have in common.

mod common;
pub mod finetunejob;
pub mod llmmodel;
pub mod room;
pub mod shadowdeployment;
