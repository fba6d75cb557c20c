//! A candidate answers copies of live requests, and nobody who asked notices.

mod collecting;
mod faults;
mod likelihoods;
mod sampling;
mod support;
mod words;
