use std::path::PathBuf;

use protocol::tune::{
    DataFormat, DataSource, DataSourceKind, DatasetManifest, MANIFEST, PersonalData, Quality, Split, Stages,
    records_file,
};
use rstest::rstest;
use serde_json::Value;

use super::*;

/// A plan over sources of one file each: name, weight, and what is in it.
struct Run {
    dir: tempfile::TempDir,
    plan: DataPlan,
    sources: Vec<Vec<SourceFile>>,
}

impl Run {
    fn new(sources: &[(&str, u32, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = |(name, weight, _): &(&str, u32, &str)| DataSource {
            name: (*name).into(),
            weight: *weight,
            kind: DataSourceKind::Mounted {
                path: PathBuf::new(),
                identity: String::new(),
            },
        };
        let file = |(name, _, content): &(&str, u32, &str)| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            vec![SourceFile {
                name: "x.jsonl".into(),
                path,
            }]
        };
        Self {
            plan: DataPlan {
                sources: sources.iter().map(source).collect(),
                format: DataFormat::Text,
                stages: Stages::default(),
                split: Split {
                    validation: 0.0,
                    test: 0.0,
                    seed: 42,
                },
                decontaminate: Vec::new(),
                to: PathBuf::new(),
                scratch: None,
                max_record_bytes: None,
            },
            sources: sources.iter().map(file).collect(),
            dir,
        }
    }

    fn run(&self) -> Result<DataReport> {
        let scratch = self.dir.path().join("scratch");
        let report = ReportFile::new(Some(self.dir.path().join("report")));
        run(
            &self.plan,
            &self.sources,
            &scratch,
            &self.to(),
            Programs::default(),
            report,
        )
    }

    fn to(&self) -> PathBuf {
        self.dir.path().join("to")
    }

    fn texts(&self, part: &str) -> Vec<String> {
        let text = fs::read_to_string(records_file(&self.to(), part)).unwrap();
        let text_of = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["text"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text.lines().map(text_of).collect()
    }

    fn manifest(&self) -> DatasetManifest {
        serde_json::from_slice(&fs::read(self.to().join(MANIFEST)).unwrap()).unwrap()
    }
}

fn lines(texts: impl IntoIterator<Item = String>) -> String {
    let line = |text: String| serde_json::json!({"text": text}).to_string() + "\n";
    texts.into_iter().map(line).collect()
}

/// Stages that drop shorter records.
fn three_words() -> Stages {
    Stages {
        quality: Some(Quality {
            min_words: Some(3),
            ..Quality::default()
        }),
        ..Stages::default()
    }
}

fn numbered(count: usize) -> String {
    lines((0..count).map(|number| format!("text number {number} of them")))
}

#[test]
fn everything_that_is_read_is_counted_once() {
    let content = numbered(5) + &numbered(2) + "{\"text\":\"drop me\"}\n{\"text\":\"\"}\nno json\n";
    let mut run = Run::new(&[("a", 1, &content)]);
    run.plan.stages = three_words();
    let report = run.run().unwrap();
    assert_eq!(report.read, 10);
    assert_eq!(report.parts.train, 5);
    let dropped: Vec<_> = report
        .dropped
        .iter()
        .map(|(reason, count)| (reason.as_str(), *count))
        .collect();
    assert_eq!(
        dropped,
        [
            ("duplicate", 2),
            ("empty", 1),
            ("invalidJson", 1),
            ("quality.minWords", 1)
        ]
    );
    assert_eq!((report.sources[0].read, report.sources[0].kept), (10, 5));
    let manifest = run.manifest();
    assert_eq!(manifest.report, report);
    assert_eq!(manifest.plan, plan::digest(&run.plan));
    let kept = manifest
        .samples
        .iter()
        .filter(|sample| sample.fate == "kept" && sample.after.is_some());
    assert_eq!(kept.count(), 5);
    let sample = manifest.samples.iter().find(|sample| sample.fate == "empty").unwrap();
    assert_eq!(
        (sample.origin.as_str(), sample.before.as_str()),
        ("a/x.jsonl:9", "{\"text\":\"\"}")
    );
    let length = |part| fs::metadata(records_file(&run.to(), part)).unwrap().len();
    assert_eq!(
        report.bytes,
        ["train", "validation", "test"].map(length).iter().sum::<u64>()
    );
}

#[test]
fn the_same_data_and_seed_give_the_same_bytes_and_neighbours_do_not_matter() {
    let digest = |content: &str, seed| {
        let mut run = Run::new(&[("a", 1, content)]);
        run.plan.split = Split {
            validation: 0.3,
            test: 0.2,
            seed,
        };
        let report = run.run().unwrap();
        (report.digest, run.texts("validation"))
    };
    let (first, validation) = digest(&numbered(50), 1);
    assert_eq!(digest(&numbered(50), 1).0, first);
    assert_ne!(digest(&numbered(50), 2).0, first);
    let (_, more) = digest(&numbered(100), 1);
    assert!(
        more.len() > validation.len() && more.starts_with(&validation),
        "{more:?}"
    );
}

#[test]
fn weights_repeat_records_to_learn_from_and_no_others() {
    let (heavy, light) = (numbered(20), lines(["light".into()]));
    let mut run = Run::new(&[
        ("heavy", 6, &heavy),
        ("light", 2, &light),
        ("middle", 4, "{\"text\":\"middle\"}"),
    ]);
    run.plan.split.validation = 0.2;
    let report = run.run().unwrap();
    let (train, validation) = (run.texts("train"), run.texts("validation"));
    let distinct = 22 - validation.len();
    assert!(!validation.is_empty() && train.len() as u64 == report.parts.train);
    let count = |text: &str| train.iter().filter(|other| *other == text).count();
    for text in &train {
        let expected = match text.as_str() {
            "light" => 1,
            "middle" => 2,
            _ => 3,
        };
        assert_eq!(count(text), expected, "{text}");
    }
    // Round by round.
    let mut first = train[..distinct].to_vec();
    first.sort();
    first.dedup();
    assert_eq!(first.len(), distinct);
    assert!(fs::read_dir(run.to()).unwrap().count() == 4);
}

#[test]
fn weights_without_a_common_divisor_write_no_more_than_they_ask_for() {
    let (heavy, light) = (numbered(400), lines((0..50).map(|number| format!("light {number}"))));
    let run = Run::new(&[("heavy", 67, &heavy), ("light", 33, &light)]);
    let parts = run.run().unwrap().parts;
    let texts = run.texts("train");
    assert_eq!(texts.len() as u64, parts.train);
    let light = texts.iter().filter(|text| text.starts_with("light")).count();
    let heavy = texts.len() - light;
    // Twice, and one in 33 a third time.
    assert!(light == 50 && (801..840).contains(&heavy), "{light} {heavy}");
    assert!(fs::read_dir(run.to()).unwrap().count() == 4);
}

#[rstest]
#[case(PersonalData::Redact)]
#[case(PersonalData::Drop)]
fn personal_data_are_not_kept_to_be_looked_at(#[case] pii: PersonalData) {
    let long = format!("{} mail to jo.doe@example.com or else", "word ".repeat(115));
    let content = lines([
        "Write to jo.doe@example.com, please".into(),
        "no".into(),
        "jo.doe@example.com".into(),
        long,
    ]) + &lines((0..2).map(|number| format!("plain text of number {number}")))
        + "{\"txt\":\"jo.doe@example.com\"}\n";
    let mut run = Run::new(&[("a", 1, &content)]);
    run.plan.stages = Stages { pii, ..three_words() };
    run.run().unwrap();
    let manifest = fs::read_to_string(run.to().join(MANIFEST)).unwrap();
    assert!(!manifest.contains("jo.doe"), "{manifest}");
    // What was found there is said.
    assert!(manifest.contains("Write to ["), "{manifest}");
}

#[rstest]
#[case::one(1, 1, 0)]
#[case::two(2, 1, 1)]
#[case::some(5, 4, 1)]
fn few_records_are_shared_out(#[case] count: usize, #[case] train: u64, #[case] validation: u64) {
    let mut run = Run::new(&[("a", 1, &numbered(count))]);
    run.plan.split.validation = 0.0001;
    let parts = run.run().unwrap().parts;
    assert_eq!((parts.train, parts.validation, parts.test), (train, validation, 0));
}

#[rstest]
#[case::wrong_format(DataFormat::Chat, &numbered(3), "dataset.format is Chat, but line 1 of x.jsonl has no field `messages` (it has `text`)")]
#[case::mostly_wrong(
    DataFormat::Text,
    "{\"text\":\"a\"}\n{\"txt\":1}\n{\"txt\":2}\n",
    "line 2 of x.jsonl has no field `text`"
)]
#[case::no_json(DataFormat::Text, "hello\nworld\n", "line 1 of x.jsonl is no JSON")]
#[case::nothing(
    DataFormat::Text,
    "",
    "no record is left to learn from, of 0 that were read; check what dataset.sources (a)"
)]
#[case::all_dropped(
    DataFormat::Text,
    "{\"text\":\"drop me\"}\n",
    "1 quality.minWords); relax dataset.prepare"
)]
fn what_is_no_good_fails_with_line_and_field(#[case] format: DataFormat, #[case] content: &str, #[case] says: &str) {
    let mut run = Run::new(&[("a", 1, content)]);
    run.plan.format = format;
    run.plan.stages = three_words();
    let failure = run.run().unwrap_err();
    assert!(failure.message.contains(says) && !failure.retryable, "{failure}");
    assert!(!run.to().join(MANIFEST).exists());
}

#[test]
fn half_may_be_bad() {
    let run = Run::new(&[("a", 1, "{\"text\":\"a\"}\nnonsense\n")]);
    assert_eq!(run.run().unwrap().parts.train, 1);
}
