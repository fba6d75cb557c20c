//! An interval.

/// An interval; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// What is known before anything was seen.
    pub const EVERYTHING: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    /// Whether `value` lies inside.
    pub fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The interval of an increasing function of the value.
    pub(crate) fn map(self, function: impl Fn(f64) -> f64) -> Self {
        Self {
            low: function(self.low),
            high: function(self.high),
        }
    }

    /// Whether both ends are numbers.
    pub(crate) fn is_finite(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }
}
