//! Statistics that decide: pure functions over counts, without I/O and without time.
//!
//! Whoever watches data as it comes and may stop at any moment needs evidence that holds at every moment;
//! a test for one fixed number of samples, looked at again and again, raises a false alarm sooner or later.

mod rate;

pub use rate::RateTest;
