//! Data for training: read from many places, cleaned, counted, and split, in bounded memory.
//!
//! ```text
//!  sources  ->  readers  ->  record  ->  stages  ->  spill, dedup  ->  train, validation and test.jsonl, manifest.json
//! ```
//!
//! [`sources`] bring files; rows of a database become one. [`readers`] find records in them, whatever their format, and
//! never hold more than one. [`pipeline`] cleans and counts them on their way to a file on the disk, and in a second
//! pass leaves out duplicates, splits and writes. What is complete gets its name; a directory without a manifest is none.

pub mod cli;
pub mod dedup;
pub mod documents;
pub mod failure;
pub mod ingest;
mod memory;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod readers;
pub mod record;
pub mod redteam;
pub mod report;
pub mod sources;
pub mod stages;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
