//! Metrics in the OpenMetrics text format 1.0, which has exemplars where Prometheus' own has none.

use std::{collections::HashSet, fmt::Write as _};

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::exemplars::{Exemplars, Labels};

/// The content type that scrapers ask for, and get.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether an `Accept` header asks for the format.
pub fn is_accepted(accept: &str) -> bool {
    accept.contains("application/openmetrics-text")
}

/// Writes `families` with their exemplars.
pub fn encode(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut text = String::new();
    for family in families {
        let (name, kind) = match family.get_field_type() {
            // Of a counter the suffix is no part of the name.
            MetricType::COUNTER => (family.name().trim_end_matches("_total"), "counter"),
            MetricType::GAUGE => (family.name(), "gauge"),
            MetricType::HISTOGRAM => (family.name(), "histogram"),
            // None of ours are of other kinds.
            _ => continue,
        };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        let _ = writeln!(text, "# HELP {name} {}", escaped(family.help()));
        for metric in family.get_metric() {
            match family.get_field_type() {
                MetricType::COUNTER => {
                    let labels = written(metric, None);
                    let _ = writeln!(text, "{name}_total{labels} {}", metric.get_counter().get_value());
                }
                MetricType::GAUGE => {
                    let _ = writeln!(
                        text,
                        "{name}{} {}",
                        written(metric, None),
                        metric.get_gauge().get_value()
                    );
                }
                _ => histogram(&mut text, name, metric, exemplars),
            }
        }
        let known: HashSet<Labels> = family.get_metric().iter().map(labels).collect();
        exemplars.retain(name, |labels| known.contains(labels));
    }
    text.push_str("# EOF\n");
    text
}

fn histogram(text: &mut String, name: &str, metric: &Metric, exemplars: &Exemplars) {
    let histogram = metric.get_histogram();
    let labels = labels(metric);
    let bounds = histogram.get_bucket().iter();
    let buckets = bounds.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let buckets = buckets.filter(|(bound, _)| bound.is_finite());
    let all = (f64::INFINITY, histogram.get_sample_count());
    for (index, (bound, count)) in buckets.chain([all]).enumerate() {
        let bound = match bound.is_finite() {
            // As in Prometheus' own format, so that both make the same series.
            true => bound.to_string(),
            false => "+Inf".into(),
        };
        let _ = write!(text, "{name}_bucket{} {count}", written(metric, Some(&bound)));
        if let Some(exemplar) = exemplars.get(name, &labels, index) {
            let (trace, value, time) = (escaped(&exemplar.trace), exemplar.value, exemplar.time);
            let _ = write!(text, " # {{trace_id=\"{trace}\"}} {value} {time:.3}");
        }
        text.push('\n');
    }
    let labels = written(metric, None);
    let _ = writeln!(text, "{name}_sum{labels} {}", histogram.get_sample_sum());
    let _ = writeln!(text, "{name}_count{labels} {}", histogram.get_sample_count());
}

fn labels(metric: &Metric) -> Labels {
    let pairs = metric.get_label().iter();
    pairs.map(|pair| (pair.name().into(), pair.value().into())).collect()
}

fn written(metric: &Metric, bound: Option<&str>) -> String {
    let pairs = metric.get_label().iter().map(|pair| (pair.name(), pair.value()));
    let pairs = pairs.chain(bound.map(|bound| ("le", bound)));
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    match pairs[..] {
        [] => String::new(),
        _ => format!("{{{}}}", pairs.join(",")),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

    use super::*;

    #[test]
    fn metrics_have_their_exemplars() {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("c_total", "A \"counter\"."), &["l"]).unwrap();
        let gauge = IntGauge::new("g", "A gauge.").unwrap();
        let bounds = vec![0.5, 1.0];
        let opts = HistogramOpts::new("h_seconds", "A histogram.").buckets(bounds.clone());
        let histogram = HistogramVec::new(opts, &["l"]).unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        registry.register(Box::new(gauge.clone())).unwrap();
        registry.register(Box::new(histogram.clone())).unwrap();
        counter.with_label_values(&["a\\b\n\"c\""]).inc();
        gauge.set(-2);
        let exemplars = Exemplars::default();
        for (value, trace) in [(0.25, "old"), (0.5, "low"), (7.0, "high")] {
            histogram.with_label_values(&["x"]).observe(value);
            exemplars.note("h_seconds", &bounds, &[("l", "x")], value, trace.into());
        }
        let text = encode(&registry.gather(), &exemplars);
        let times = text
            .lines()
            .filter_map(|line| line.rsplit_once("} ")?.1.split_once(' '));
        let written = times.fold(text.clone(), |text, (_, time)| {
            text.replace(&format!(" {time}\n"), " T\n")
        });
        let expected = r##"# TYPE c counter
# HELP c A \"counter\".
c_total{l="a\\b\n\"c\""} 1
# TYPE g gauge
# HELP g A gauge.
g -2
# TYPE h_seconds histogram
# HELP h_seconds A histogram.
h_seconds_bucket{l="x",le="0.5"} 2 # {trace_id="low"} 0.5 T
h_seconds_bucket{l="x",le="1"} 2
h_seconds_bucket{l="x",le="+Inf"} 3 # {trace_id="high"} 7 T
h_seconds_sum{l="x"} 7.75
h_seconds_count{l="x"} 3
# EOF
"##;
        assert_eq!(written, expected);
    }

    #[test]
    fn exemplars_go_with_their_series() {
        let registry = Registry::new();
        let opts = HistogramOpts::new("h", "A histogram.").buckets(vec![1.0]);
        let histogram = HistogramVec::new(opts, &["l"]).unwrap();
        registry.register(Box::new(histogram.clone())).unwrap();
        let exemplars = Exemplars::default();
        let x = Labels::from([("l".into(), "x".into())]);
        histogram.with_label_values(&["x"]).observe(0.5);
        exemplars.note("h", &[1.0], &[("l", "x")], 0.5, "t".into());
        encode(&registry.gather(), &exemplars);
        assert!(exemplars.get("h", &x, 0).is_some());
        histogram.remove_label_values(&["x"]).unwrap();
        histogram.with_label_values(&["y"]).observe(0.5);
        encode(&registry.gather(), &exemplars);
        assert!(exemplars.get("h", &x, 0).is_none());
    }
}
