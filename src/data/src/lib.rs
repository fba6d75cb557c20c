//! Data for training: read from many places, cleaned, counted, and split, in bounded memory.

pub mod dedup;
pub mod stages;
