//! Trainings of a tiny network.

mod batches;
mod group;
mod learning;
mod outputs;
mod resume;
mod slopes;
