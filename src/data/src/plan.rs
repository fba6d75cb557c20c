//! The plan: whether it makes sense, and what tells it from others.

use std::{collections::BTreeSet, path::PathBuf};

use protocol::tune::{DataPlan, DataSourceKind};
use sha2::{Digest as _, Sha256};

use crate::failure::{Result, invalid};

/// Goes up when the same plan would give other records than before.
const REVISION: u32 = 2;
/// Bytes of one record, unless the plan says otherwise.
const MAX_RECORD_BYTES: u64 = 16 << 20;
/// More than this nobody learns from, and it has to fit the memory several times.
const MOST_RECORD_BYTES: u64 = 256 << 20;
const MAX_SOURCES: usize = 32;
/// How often a record is written to be learned from, at most: beyond that it is learned by heart.
const MOST_TIMES: u32 = 100;

/// SHA-256 of what decides about the records, as 64 hex digits: where they are read from and what becomes of them, and
/// neither where results go nor where secrets lie.
pub fn digest(plan: &DataPlan) -> String {
    let mut plan = plan.clone();
    plan.to = PathBuf::new();
    plan.scratch = None;
    for source in &mut plan.sources {
        match &mut source.kind {
            DataSourceKind::Mounted { .. } => {}
            DataSourceKind::Http { headers_dir, .. } => *headers_dir = None,
            DataSourceKind::ObjectStore { credentials_dir, .. } => *credentials_dir = None,
            DataSourceKind::Sql { connection_file, .. } => *connection_file = PathBuf::new(),
        }
    }
    let json = serde_json::to_vec(&(REVISION, plan)).expect("a plan has text keys only");
    hex::encode(Sha256::digest(json))
}

/// Bytes of one record at most.
pub fn max_record_bytes(plan: &DataPlan) -> usize {
    plan.max_record_bytes.unwrap_or(MAX_RECORD_BYTES) as usize
}

/// Refuses a plan that cannot be carried out.
///
/// # Errors
/// What is wrong with it.
pub fn check(plan: &DataPlan) -> Result<()> {
    let mut names = BTreeSet::new();
    if plan.sources.is_empty() || plan.sources.len() > MAX_SOURCES {
        let count = plan.sources.len();
        return Err(invalid(format!(
            "dataset.sources has {count} entries; give 1 to {MAX_SOURCES}"
        )));
    }
    for source in &plan.sources {
        if source.weight == 0 {
            let name = &source.name;
            return Err(invalid(format!(
                "dataset.sources[{name}].weight is 0; give 1 or more, or leave the source out"
            )));
        }
        if !names.insert(&source.name) {
            return Err(invalid(format!(
                "dataset.sources has two entries with the name {:?}",
                source.name
            )));
        }
    }
    let heaviest = plan.sources.iter().max_by_key(|source| source.weight);
    let lightest = plan.sources.iter().min_by_key(|source| source.weight);
    if let Some((most, least)) = heaviest.zip(lightest)
        && most.weight > least.weight.saturating_mul(MOST_TIMES)
    {
        return Err(invalid(format!(
            "dataset.sources[{}].weight is {}, and that of {} {}: the records of the first one would stand in the data {} times, \
             and at most {MOST_TIMES} times are written; give weights closer to each other, or leave the lighter one out",
            most.name,
            most.weight,
            least.name,
            least.weight,
            most.weight / least.weight
        )));
    }
    let (validation, test) = (plan.split.validation, plan.split.test);
    let is_share = |share: f64| (0.0..1.0).contains(&share);
    if !is_share(validation) || !is_share(test) || validation + test >= 1.0 {
        return Err(invalid(format!(
            "dataset.split holds back {validation} for validation and {test} for test; give shares from 0% on that leave \
             something to learn from"
        )));
    }
    let most = plan.max_record_bytes.unwrap_or(MAX_RECORD_BYTES);
    if most == 0 || most > MOST_RECORD_BYTES {
        return Err(invalid(format!(
            "maxRecordBytes is {most}; give 1 to {MOST_RECORD_BYTES}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::tune::{Contaminant, DataFormat, DataSource, Split, Stages};
    use rstest::rstest;

    use super::*;

    fn plan() -> DataPlan {
        let source = |name: &str, kind| DataSource {
            name: name.into(),
            weight: 1,
            kind,
        };
        DataPlan {
            sources: vec![
                source(
                    "a",
                    DataSourceKind::Mounted {
                        path: "/data".into(),
                        identity: "texts:1".into(),
                    },
                ),
                source(
                    "b",
                    DataSourceKind::Sql {
                        connection_file: "/secret/url".into(),
                        query: "SELECT 1".into(),
                        descriptions: [].into(),
                    },
                ),
            ],
            format: DataFormat::Text,
            stages: Stages::default(),
            split: Split {
                validation: 0.05,
                test: 0.0,
                seed: 42,
            },
            decontaminate: Vec::new(),
            to: "/tune/data/run".into(),
            scratch: None,
            max_record_bytes: None,
        }
    }

    #[test]
    fn places_of_results_and_secrets_do_not_count() {
        let mut other = plan();
        other.to = "/elsewhere".into();
        other.scratch = Some("/scratch".into());
        if let DataSourceKind::Sql { connection_file, .. } = &mut other.sources[1].kind {
            *connection_file = "/other/url".into();
        }
        assert_eq!(digest(&plan()), digest(&other));
        other.split.seed = 43;
        assert_ne!(digest(&plan()), digest(&other));
    }

    #[test]
    fn another_image_at_the_same_place_has_other_data() {
        let (mut data, mut suite) = (plan(), plan());
        if let DataSourceKind::Mounted { identity, .. } = &mut data.sources[0].kind {
            *identity = "texts:2".into();
        }
        suite.decontaminate.push(Contaminant {
            path: "/suites/ours/q.jsonl".into(),
            identity: "suites:1".into(),
        });
        let mut newer = suite.clone();
        newer.decontaminate[0].identity = "suites:2".into();
        let digests = [plan(), data, suite, newer].map(|plan| digest(&plan));
        assert_eq!(BTreeSet::from(digests).len(), 4);
    }

    #[rstest]
    #[case(|plan: &mut DataPlan| plan.sources.clear(), "dataset.sources")]
    #[case(|plan: &mut DataPlan| plan.sources[0].weight = 0, "weight")]
    #[case(|plan: &mut DataPlan| plan.sources[0].weight = 101, "sources[a].weight is 101")]
    #[case(|plan: &mut DataPlan| plan.sources[0].name = "b".into(), "two entries")]
    #[case(|plan: &mut DataPlan| plan.split.validation = 1.0, "dataset.split")]
    #[case(|plan: &mut DataPlan| plan.split.test = f64::NAN, "dataset.split")]
    #[case(|plan: &mut DataPlan| plan.split.test = 0.97, "dataset.split")]
    #[case(|plan: &mut DataPlan| plan.max_record_bytes = Some(1 << 40), "maxRecordBytes")]
    fn plans_without_sense_are_refused(#[case] change: fn(&mut DataPlan), #[case] says: &str) {
        let mut plan = plan();
        assert!(check(&plan).is_ok());
        change(&mut plan);
        let failure = check(&plan).unwrap_err();
        assert!(failure.message.contains(says) && !failure.retryable, "{failure}");
    }
}
