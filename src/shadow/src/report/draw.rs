//! Where the interval of a metric lies against its margin, on an axis that all metrics share.

use super::MetricReport;
use crate::metric::{Direction, describe};

/// Margins on either side that the axis shows.
pub const REACH: f64 = 3.0;

/// An interval in margins: the margin itself is at 1, and whatever is right of that is worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The better end.
    pub low: f64,
    /// The difference itself.
    pub middle: f64,
    /// The worse end.
    pub high: f64,
    /// Whether -1 is a margin as well: it is no better to be on the left.
    pub is_two_sided: bool,
}

impl Place {
    /// The place of a metric; `None` while nothing is known.
    pub fn of(metric: &MetricReport) -> Option<Self> {
        let interval = metric.interval?;
        let direction = describe(metric.metric).direction;
        let ends = [interval.low.get(), interval.high.get()];
        let middle = metric.difference.map_or(ends[0] / 2.0 + ends[1] / 2.0, |it| it.get());
        // Without a margin any interval is endless in units of it, and still on one side or the other.
        let unit = metric.margin.get().max(f64::MIN_POSITIVE);
        let scaled = |value: f64| {
            let sign = if direction == Direction::HigherIsBetter {
                -1.0
            } else {
                1.0
            };
            // A quotient of finite numbers may overflow.
            (sign * value / unit).clamp(-1e6, 1e6)
        };
        let (one, other) = (scaled(ends[0]), scaled(ends[1]));
        Some(Self {
            low: one.min(other),
            middle: scaled(middle),
            high: one.max(other),
            is_two_sided: direction == Direction::NeitherIsBetter,
        })
    }
}

/// A place on the axis as a share of its width, from 0 to 1; what lies beyond is at its end.
pub fn share(place: f64) -> f64 {
    ((place + REACH) / (2.0 * REACH)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::report::{Interval, Number, testing::example};
    use api::shadowdeployment::Metric;

    fn place(metric: Metric, low: f64, high: f64, margin: f64) -> Place {
        let number = |value| Number::new(value).unwrap();
        let mut report = example().metrics.remove(0);
        report.metric = metric;
        report.difference = None;
        report.interval = Some(Interval {
            low: number(low),
            high: number(high),
        });
        report.margin = number(margin);
        Place::of(&report).unwrap()
    }

    #[rstest]
    #[case::slower_is_right(Metric::TTFT, 0.1, 0.3, 0.1, (1.0, 2.0, 3.0))]
    #[case::less_alike_is_right(Metric::RougeL, -0.3, -0.1, 0.1, (1.0, 2.0, 3.0))]
    #[case::longer_is_right(Metric::Length, -5.0, 15.0, 5.0, (-1.0, 1.0, 3.0))]
    fn worse_is_right(
        #[case] metric: Metric,
        #[case] low: f64,
        #[case] high: f64,
        #[case] margin: f64,
        #[case] expected: (f64, f64, f64),
    ) {
        let place = place(metric, low, high, margin);
        for (value, expected) in [
            (place.low, expected.0),
            (place.middle, expected.1),
            (place.high, expected.2),
        ] {
            assert!((value - expected).abs() < 1e-9, "{place:?}");
        }
        assert_eq!(place.is_two_sided, metric == Metric::Length);
    }

    #[test]
    fn whatever_the_numbers_places_are_on_the_axis() {
        for (low, high, margin) in [(-1e308, 1e308, 1e-300), (0.0, 0.0, 0.0), (-1.0, 1.0, 0.0)] {
            let place = place(Metric::TTFT, low, high, margin);
            for value in [place.low, place.middle, place.high] {
                assert!(value.is_finite() && (0.0..=1.0).contains(&share(value)), "{place:?}");
            }
        }
    }
}
