#![doc = include_str!("../README.md")]

mod bets;
mod bounded;
mod calibration;
mod errors;
mod futility;
mod holm;
mod interval;
mod mean;
mod metric;
mod mixture;
mod moments;
mod monitor;
mod normal;
mod power;
mod quantile;
mod rate;
mod sketch;
mod trial;
mod verdict;

pub use bounded::BoundedSequence;
pub use calibration::{Calibration, MissRate, NoiseFloor};
pub use errors::{PlanError, ValueError};
pub use holm::holm;
pub use interval::Interval;
pub use mean::MeanSequence;
pub use metric::{Direction, Margin, Measure, MetricPlan, Pair};
pub use mixture::Mixture;
pub use monitor::Monitor;
pub use power::{clean_pairs, planned_pairs, single_look_pairs};
pub use quantile::QuantileSequence;
pub use rate::RateTest;
pub use trial::{Trial, TrialPlan};
pub use verdict::{Decision, End, MetricResult, MetricVerdict, Reason, Verdict};
