//! What tests of the program share.
#![allow(dead_code, reason = "each test uses some of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use protocol::PrepareFailure;
use protocol::tune::{DataOutcome, DataPlan, DataReport, PLAN_VARIABLE, records_file};
use serde_json::{Value, json};

/// A directory for sources, plans and results.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn plan(&self, format: &str, sources: Value) -> Value {
        json!({
            "sources": sources, "format": format, "split": {"validation": 0.2, "test": 0.1, "seed": 7},
            "to": self.path("data/run"),
        })
    }

    /// Runs the program; how it ended and what it said last.
    pub fn run(&self, plan: &Value) -> (Output, DataOutcome) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-data"));
        self.run_as(&mut command, plan)
    }

    pub fn run_as(&self, command: &mut Command, plan: &Value) -> (Output, DataOutcome) {
        let report = self.path("report.json");
        serde_json::from_value::<DataPlan>(plan.clone()).unwrap();
        let output = command
            .args(["prepare", "--report"])
            .arg(&report)
            .env(PLAN_VARIABLE, plan.to_string())
            .output()
            .unwrap();
        let words = std::fs::read_to_string(&report).unwrap();
        assert!(words.len() <= 4096);
        let outcome = DataOutcome::parse(&words).unwrap_or_else(|| panic!("{words} {output:?}"));
        (output, outcome)
    }

    pub fn ready(&self, plan: &Value) -> DataReport {
        match self.run(plan) {
            (output, DataOutcome::Ready(report)) if output.status.success() => report,
            other => panic!("{other:?}"),
        }
    }

    /// Why it cannot be done.
    pub fn failed(&self, plan: &Value) -> PrepareFailure {
        match self.run(plan) {
            (output, DataOutcome::Failed(failure)) if !output.status.success() => failure,
            other => panic!("{other:?}"),
        }
    }

    pub fn records(&self, part: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(records_file(&self.path("data/run"), part)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn all(&self) -> Vec<Value> {
        ["train", "validation", "test"]
            .iter()
            .flat_map(|part| self.records(part))
            .collect()
    }
}

pub fn mounted(path: &Path) -> Value {
    json!([{"name": "files", "weight": 1, "kind": {"mounted": {"path": path}}}])
}
