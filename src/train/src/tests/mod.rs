//! Trainings of a tiny network.

mod batches;
mod group;
mod learning;
mod outputs;
mod processes;
mod resume;
mod slopes;
