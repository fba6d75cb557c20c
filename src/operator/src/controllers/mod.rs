//! One module for each kind that is reconciled.

pub mod finetunejob;
pub mod llmmodel;
