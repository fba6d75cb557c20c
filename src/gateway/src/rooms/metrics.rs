//! What is counted of Rooms.

use std::time::Duration;

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::metrics::register;

/// Numbers over all Rooms. None of them has the name of a user or a document.
#[derive(Clone)]
pub struct Metrics {
    /// Time of decisions, by result.
    authorize: HistogramVec,
    /// Time of a search, from the vector to the texts.
    pub search: Histogram,
    /// Answers, by how they ended.
    pub answers: IntCounterVec,
    /// Statements that models wrote for databases, by what became of them.
    pub statements: IntCounterVec,
    /// Times that two nets disagreed.
    pub disagreements: IntCounter,
    /// Bytes of indexes in memory.
    pub index_bytes: IntGauge,
    /// Times that an index was read from the database.
    pub index_loads: IntCounter,
    /// Recall at 10 that was sampled last, by Room.
    pub recall: GaugeVec,
    /// Rooms that were purged.
    pub purged: IntCounter,
}

impl Metrics {
    /// Shown by `registry`.
    pub fn new(registry: &Registry) -> Self {
        let histogram = |name: &str, help: &str| {
            let buckets = prometheus::exponential_buckets(0.00001, 4.0, 12);
            HistogramOpts::new(name, help).buckets(buckets.expect("a positive start and a factor above one"))
        };
        Self {
            authorize: register(
                registry,
                HistogramVec::new(
                    histogram(
                        "atelier_rooms_authorize_seconds",
                        "Time until it is known who may enter a Room.",
                    ),
                    &["result"],
                ),
            ),
            search: register(
                registry,
                Histogram::with_opts(histogram(
                    "atelier_rooms_search_seconds",
                    "Time of a search in a Room, from the vector of the question to the texts that were found.",
                )),
            ),
            answers: register(
                registry,
                IntCounterVec::new(
                    Opts::new("atelier_rooms_answers_total", "Questions to Rooms, by how they ended."),
                    &["outcome"],
                ),
            ),
            statements: register(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "atelier_rooms_statements_total",
                        "Times that a model was asked for a statement for a Room's database, by what became of it.",
                    ),
                    &["outcome"],
                ),
            ),
            disagreements: register(
                registry,
                IntCounter::new(
                    "atelier_rooms_disagreements_total",
                    "Times that the nets around a Room disagreed, and a request was refused: any is an error of Atelier's.",
                ),
            ),
            index_bytes: register(
                registry,
                IntGauge::new("atelier_rooms_index_bytes", "Memory of the indexes of Rooms."),
            ),
            index_loads: register(
                registry,
                IntCounter::new(
                    "atelier_rooms_index_loads_total",
                    "Indexes that were read from the database.",
                ),
            ),
            recall: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "atelier_rooms_recall_at_10",
                        "Share of the ten nearest chunks that searches find, sampled.",
                    ),
                    &["namespace", "room"],
                ),
            ),
            purged: register(
                registry,
                IntCounter::new(
                    "atelier_rooms_purged_total",
                    "Rooms whose rows were taken away because they are gone.",
                ),
            ),
        }
    }

    /// It took so long to decide.
    pub fn authorized(&self, result: &str, time: Duration) {
        self.authorize.with_label_values(&[result]).observe(time.as_secs_f64());
    }
}
