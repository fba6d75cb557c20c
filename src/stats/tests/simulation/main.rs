//! Simulated comparisons: the promised error rates, with a look after every pair, in worlds that are known.

mod experiments;
mod tables;
mod worlds;
