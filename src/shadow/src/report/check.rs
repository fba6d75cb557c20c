//! Whether a report can be shown.

use super::{Content, MetricReport, Report, Role, VERSION};

/// Points of a metric's course: what a plot can show.
pub const MAX_COURSE: usize = 512;
/// Pairs that are kept with their words.
pub const MAX_EXAMPLES: usize = 20;
/// Bytes of a prompt or an answer that is kept.
pub const MAX_EXAMPLE: usize = 16 << 10;
/// Bytes of a name, a digest, an address, a reason.
const MAX_NAME: usize = 1024;
/// Points of a distribution.
const MAX_QUANTILES: usize = 256;

/// Something is wrong with a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct Fault {
    /// Where.
    pub field: String,
    /// What, and what would be right.
    pub fault: String,
}

impl Fault {
    pub(super) fn new(field: impl Into<String>, fault: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            fault: fault.into(),
        }
    }
}

impl Report {
    /// Whether the report says nothing that contradicts itself, and nothing without bound.
    ///
    /// # Errors
    /// With the field that is wrong and what to do.
    pub fn check(&self) -> Result<(), Fault> {
        ensure(self.version == VERSION, "version", || {
            format!("must be {VERSION}; other forms are not known here")
        })?;
        let texts = [
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("uid", &self.uid),
            ("reason", &self.reason),
            ("message", &self.message),
            ("window.from", &self.window.from),
            ("window.to", &self.window.to),
            ("primary.model", &self.primary.model),
            ("primary.version", &self.primary.version),
            ("candidate.model", &self.candidate.model),
            ("candidate.version", &self.candidate.version),
        ];
        for (field, text) in texts {
            ensure(!text.is_empty() && text.len() <= MAX_NAME, field, || {
                format!("must have 1 to {MAX_NAME} bytes")
            })?;
        }
        let weights = [
            ("primary.weights", &self.primary.weights),
            ("candidate.weights", &self.candidate.weights),
        ];
        let digests = weights
            .into_iter()
            .filter_map(|(field, digest)| Some((field, digest.as_ref()?)));
        for (field, digest) in digests.chain([("specDigest", &self.spec_digest)]) {
            ensure(is_digest(digest), field, || "must be sha256: and 64 hex digits".into())?;
        }
        for (field, share) in [("alpha", self.alpha), ("power", self.power)] {
            ensure((0.0..=1.0).contains(&share.get()), field, || {
                "must be between 0 and 1".into()
            })?;
        }
        ensure(self.clusters <= self.pairs, "clusters", || {
            "cannot be more than pairs".into()
        })?;
        ensure(self.dropped.len() <= 64, "dropped", || {
            "must have at most 64 reasons".into()
        })?;
        self.check_metrics()?;
        self.check_content()
    }

    fn check_metrics(&self) -> Result<(), Fault> {
        ensure((1..=12).contains(&self.metrics.len()), "metrics", || {
            "must have 1 to 12 metrics".into()
        })?;
        for (index, metric) in self.metrics.iter().enumerate() {
            let field = |name: &str| format!("metrics[{index}].{name}");
            let is_new = self.metrics[..index].iter().all(|other| other.metric != metric.metric);
            ensure(is_new, field("metric"), || {
                "is there twice: name each metric once".into()
            })?;
            let is_in_order = (metric.role == Role::Primary) == (index == 0);
            ensure(is_in_order, field("role"), || {
                "must be Primary for the first metric and Guardrail for others".into()
            })?;
            check_metric(metric, self.pairs, field)?;
        }
        Ok(())
    }

    fn check_content(&self) -> Result<(), Fault> {
        let Content::Kept(examples) = &self.content else {
            return Ok(());
        };
        ensure(examples.len() <= MAX_EXAMPLES, "content.kept", || {
            format!("must have at most {MAX_EXAMPLES} pairs")
        })?;
        for (index, example) in examples.iter().enumerate() {
            for (name, text) in [
                ("prompt", &example.prompt),
                ("primary", &example.primary),
                ("candidate", &example.candidate),
            ] {
                let field = format!("content.kept[{index}].{name}");
                ensure(text.len() <= MAX_EXAMPLE, field, || {
                    format!("must have at most {MAX_EXAMPLE} bytes: cut it")
                })?;
            }
            ensure(example.pair.len() <= MAX_NAME, "content.kept.pair", || {
                format!("must have at most {MAX_NAME} bytes")
            })?;
        }
        Ok(())
    }
}

fn check_metric(metric: &MetricReport, pairs: u64, field: impl Fn(&str) -> String) -> Result<(), Fault> {
    ensure(metric.margin.get() >= 0.0, field("margin"), || {
        "must not be negative".into()
    })?;
    ensure(metric.pairs <= pairs, field("pairs"), || {
        "cannot be more than the pairs of the report".into()
    })?;
    let is_ordered = metric.interval.is_none_or(|it| it.low <= it.high);
    ensure(is_ordered, field("interval"), || {
        "low must not be above high: swap them".into()
    })?;
    let course = &metric.course;
    ensure(course.len() <= MAX_COURSE, field("course"), || {
        format!("must have at most {MAX_COURSE} points: thin it out")
    })?;
    let is_ordered =
        course.iter().all(|it| it.low <= it.high) && course.is_sorted_by(|one, other| one.pairs < other.pairs);
    ensure(is_ordered, field("course"), || {
        "must have growing pairs, and low not above high".into()
    })?;
    for quantiles in metric.distribution.iter().flat_map(|it| [&it.primary, &it.candidate]) {
        let is_one = quantiles.len() <= MAX_QUANTILES
            && quantiles.is_sorted_by(|one, other| one.share < other.share && one.value <= other.value)
            && quantiles
                .iter()
                .all(|it| (0.0..=1.0).contains(&it.share.get()) && it.value.get() >= 0.0);
        ensure(is_one, field("distribution"), || {
            format!(
                "must have at most {MAX_QUANTILES} quantiles, with growing shares between 0 and 1 and values that grow from 0"
            )
        })?;
    }
    Ok(())
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn ensure(is_so: bool, field: impl Into<String>, fault: impl Fn() -> String) -> Result<(), Fault> {
    match is_so {
        true => Ok(()),
        false => Err(Fault::new(field, fault())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::report::{Interval, Number, testing::example};

    type Spoil = fn(&mut Report);

    fn number(value: f64) -> Number {
        Number::new(value).unwrap()
    }

    #[rstest]
    #[case("version", |it: &mut Report| it.version = "v0".into())]
    #[case("name", |it: &mut Report| it.name = String::new())]
    #[case("message", |it: &mut Report| it.message = "x".repeat(MAX_NAME + 1))]
    #[case("specDigest", |it: &mut Report| it.spec_digest = "sha256:abc".into())]
    #[case("candidate.weights", |it: &mut Report| it.candidate.weights = Some("md5:0".into()))]
    #[case("alpha", |it: &mut Report| it.alpha = number(1.5))]
    #[case("clusters", |it: &mut Report| it.clusters = it.pairs + 1)]
    #[case("metrics", |it: &mut Report| it.metrics.clear())]
    #[case("metrics[1].metric", |it: &mut Report| it.metrics[1].metric = it.metrics[0].metric)]
    #[case("metrics[0].role", |it: &mut Report| it.metrics[0].role = Role::Guardrail)]
    #[case("metrics[1].role", |it: &mut Report| it.metrics[1].role = Role::Primary)]
    #[case("metrics[0].margin", |it: &mut Report| it.metrics[0].margin = number(-0.1))]
    #[case("metrics[0].pairs", |it: &mut Report| it.metrics[0].pairs = u64::MAX)]
    #[case("metrics[0].interval", |it: &mut Report| it.metrics[0].interval = Some(Interval { low: number(1.0), high: number(0.0) }))]
    #[case("metrics[0].course", |it: &mut Report| it.metrics[0].course.reverse())]
    #[case("content.kept[0].primary", |it: &mut Report| if let Content::Kept(kept) = &mut it.content { kept[0].primary = "x".repeat(MAX_EXAMPLE + 1) })]
    fn a_fault_names_its_field(#[case] field: &str, #[case] spoil: Spoil) {
        let mut report = example();
        spoil(&mut report);
        assert_eq!(report.check().unwrap_err().field, field);
        assert!(report.json().is_err());
    }

    #[test]
    fn a_report_survives_its_json_and_keeps_its_digest() {
        let report = example();
        let json = report.json().unwrap();
        let again = Report::parse(&json).unwrap();
        assert_eq!((&again, again.digest()), (&report, report.digest()));
        let mut other = report.clone();
        other.pairs += 1;
        assert_ne!(other.digest(), report.digest());
    }

    #[test]
    fn what_is_not_known_is_not_read() {
        let json = example().json().unwrap();
        for (from, to) in [
            ("\"alpha\":0.05", "\"alpha\":1e999"),
            ("\"alpha\":0.05", "\"alpha\":null"),
            ("\"uid\":", "\"x\":1,\"uid\":"),
        ] {
            assert!(json.contains(from));
            assert_eq!(
                Report::parse(&json.replacen(from, to, 1)).unwrap_err().field,
                "report",
                "{to}"
            );
        }
    }
}
