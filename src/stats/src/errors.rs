//! What is wrong with a plan or with a value.

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A probability that makes no sense.
    #[error("{name} is {value}, but must be above 0 and below {limit}")]
    Probability {
        /// Which one.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it must stay below.
        limit: f64,
    },
    /// No verdict could ever be given.
    #[error("between {min} and {max} pairs no verdict can be given: 2 <= min <= max is needed")]
    Pairs {
        /// The pairs before which no verdict is given.
        min: u64,
        /// The pairs after which none is given.
        max: u64,
    },
    /// A margin that makes no sense.
    #[error("metric {metric}: a margin of {margin} cannot be: {why}")]
    Margin {
        /// The metric's name.
        metric: String,
        /// Its margin.
        margin: f64,
        /// What would be right.
        why: &'static str,
    },
    /// Bounds that hold nothing.
    #[error("metric {metric}: {low} and {high} are no bounds")]
    Bounds {
        /// The metric's name.
        metric: String,
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
}

/// What is wrong with a value: nothing of the pair was counted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Not a number, or too large to be squared.
    #[error("metric {metric}: {value} is not a number that could be measured")]
    NotFinite {
        /// The metric's name.
        metric: String,
        /// The value.
        value: f64,
    },
    /// Outside of what the plan said.
    #[error("metric {metric}: {value} is not between {low} and {high}")]
    OutOfBounds {
        /// The metric's name.
        metric: String,
        /// The value.
        value: f64,
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// Ratios need positive values.
    #[error("metric {metric}: {value} has no ratio to anything: values must be positive")]
    NotPositive {
        /// The metric's name.
        metric: String,
        /// The value.
        value: f64,
    },
    /// Not one entry for each metric.
    #[error("{found} values for {wanted} metrics")]
    Count {
        /// How many came.
        found: usize,
        /// How many metrics there are.
        wanted: usize,
    },
}
