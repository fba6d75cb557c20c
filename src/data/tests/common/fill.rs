//! What tests of `ingest` share: a directory, a Room, and the program.
#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use protocol::PrepareFailure;
use protocol::ingest::{IngestOutcome, IngestPlan, IngestReport};
use protocol::tune::PLAN_VARIABLE;
use serde_json::{Value, json};

use crate::room::{MODEL, Room, TOKEN};

/// A directory for sources, and a Room.
pub struct Place {
    directory: tempfile::TempDir,
    pub room: Room,
}

impl Place {
    pub fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
            room: Room::start(),
        };
        place.write("token", format!("{TOKEN}\n"));
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// A file of zeros that takes no room.
    pub fn sparse(&self, name: &str, bytes: u64) {
        std::fs::File::create(self.path(name)).unwrap().set_len(bytes).unwrap();
    }

    /// A document of Word that becomes so large.
    pub fn bomb(&self, name: &str, bytes: usize) {
        let file = std::fs::File::create(self.path(name)).unwrap();
        let mut writer = zip::ZipWriter::new(file);
        writer
            .start_file("word/document.xml", zip::write::SimpleFileOptions::default())
            .unwrap();
        let part = vec![b' '; 1 << 20];
        for _ in 0..bytes >> 20 {
            writer.write_all(&part).unwrap();
        }
        let mut file = writer.finish().unwrap();
        assert!(file.seek(SeekFrom::End(0)).unwrap() < 1 << 20);
    }

    pub fn mounted(&self, name: &str, directory: &str) -> Value {
        json!({"name": name, "clearance": 0, "read": true, "kind": {"mounted": {"path": self.path(directory)}}})
    }

    pub fn plan(&self) -> Value {
        json!({
            "namespace": "team", "room": "handbook",
            "gateway": {"url": format!("http://{}", self.room.address), "tokenFile": self.path("token")},
            "embedding": {"model": MODEL, "digest": "sha256:1"},
            "sources": [self.mounted("files", "docs")],
            "cleaning": {"clean": true, "dedup": {"exact": true}, "pii": "Keep"},
            "chunks": {"tokens": 128, "overlap": 16},
            "keep": 1,
            "scratch": self.path("scratch"),
        })
    }

    fn command(&self, plan: &Value) -> Command {
        serde_json::from_value::<IngestPlan>(plan.clone()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-data"));
        command
            .args(["ingest", "--report"])
            .arg(self.path("report.json"))
            .env(PLAN_VARIABLE, plan.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the program.
    pub fn start(&self, plan: &Value) -> Child {
        self.command(plan)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// What a started program said last.
    pub fn outcome_of(&self, mut child: Child) -> IngestOutcome {
        child.wait().unwrap();
        self.last_words("")
    }

    /// Runs the program; what it said last.
    pub fn run(&self, plan: &Value) -> IngestOutcome {
        let output = self.command(plan).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let outcome = self.last_words(&log);
        assert_eq!(
            output.status.success(),
            matches!(outcome, IngestOutcome::Published(_)),
            "{outcome:?}"
        );
        outcome
    }

    fn last_words(&self, log: &str) -> IngestOutcome {
        let words = std::fs::read_to_string(self.path("report.json")).unwrap_or_default();
        assert!(words.len() <= 4096);
        IngestOutcome::parse(&words).unwrap_or_else(|| panic!("{words} {log}"))
    }

    pub fn published(&self, plan: &Value) -> IngestReport {
        match self.run(plan) {
            IngestOutcome::Published(report) => report,
            other => panic!("{other:?}"),
        }
    }

    pub fn failed(&self, plan: &Value) -> PrepareFailure {
        match self.run(plan) {
            IngestOutcome::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }
}
