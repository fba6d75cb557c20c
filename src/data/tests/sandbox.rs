//! The process that reads a document, with a program in it that does what no document should make it do.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use data::documents::sandbox::{self, Confined};
use data::documents::{Document, Refused, Request};
use data::readers::Programs;
use protocol::ingest::Limits;
use protocol::quarantine::Reason;
use serde_json::{Value, json};

/// A directory with a PDF, a secret, and a program that stands for poppler.
struct Place(tempfile::TempDir);

impl Place {
    fn new(script: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(place.path("bin")).unwrap();
        std::fs::create_dir_all(place.path("scratch")).unwrap();
        std::fs::write(place.path("a.pdf"), "%PDF-1.4").unwrap();
        std::fs::write(place.path("secret"), "hush").unwrap();
        let program = place.path("bin/pdftohtml");
        std::fs::write(&program, format!("#!/bin/bash\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn request(&self, limits: Limits) -> Request {
        Request {
            path: self.path("a.pdf"),
            name: "a.pdf".into(),
            media_type: None,
            clean: true,
            ocr: None,
            limits,
        }
    }

    /// What the process answers: all that it prints goes through here.
    fn ask(&self) -> Value {
        let asked = json!({"Read": self.request(Limits::default())});
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new(env!("CARGO_BIN_EXE_atelier-data"))
            .args(["extract", &asked.to_string()])
            .current_dir(self.path("scratch"))
            .env("PATH", path)
            .env("SECRET", "hush")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// What is printed of one line of text.
fn page(text: &str) -> String {
    format!(
        "echo '<page number=\"1\" height=\"792\" width=\"612\"><fontspec id=\"0\" size=\"12\" color=\"#000000\"/><text top=\"72\" left=\"72\" width=\"300\" height=\"12\" font=\"0\">A page with enough of text: '\n{text}\necho '</text></page>'"
    )
}

fn text(answer: &Value) -> String {
    let document: Document =
        serde_json::from_value(answer["outcome"]["Document"].clone()).unwrap_or_else(|_| panic!("{answer}"));
    document.blocks.into_iter().map(|block| block.text).collect()
}

fn confined(answer: &Value) -> Confined {
    serde_json::from_value(answer["confined"].clone()).unwrap()
}

#[test]
fn it_sees_no_network_and_no_environment() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let place = Place::new(&page(&format!(
        "echo ${{SECRET-unset}}; \
         (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo connected || echo no network"
    )));
    let answer = place.ask();
    let text = text(&answer);
    assert!(confined(&answer).network && text.contains("no network"), "{answer}");
    assert!(text.contains("unset") && !text.contains("hush"), "{text}");
}

#[test]
fn files_of_others_are_hidden_where_the_kernel_can() {
    let place = Place::new("");
    let script = page(&format!(
        "cat {} 2>/dev/null || echo no file",
        place.path("secret").display()
    ));
    std::fs::write(place.path("bin/pdftohtml"), format!("#!/bin/bash\n{script}\n")).unwrap();
    let answer = place.ask();
    let text = text(&answer);
    match confined(&answer).files {
        true => assert!(text.contains("no file") && !text.contains("hush"), "{text}"),
        // An old kernel: the answer says so, and the log does.
        false => assert!(text.contains("hush"), "{text}"),
    }
}

fn read(place: &Place, limits: Limits) -> Result<sandbox::Extracted, Refused> {
    // The process of the tests stands for the parent: only its own search for programs counts.
    let wrapper = place.path("bin/reader");
    let script = format!(
        "#!/bin/sh\nPATH={}:$PATH exec {} \"$@\"\n",
        place.path("bin").display(),
        env!("CARGO_BIN_EXE_atelier-data")
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let programs = Programs {
        documents: Some(wrapper.display().to_string()),
        ..Programs::default()
    };
    sandbox::read(&place.request(limits), &programs, 2 << 30, &place.path("scratch"))
}

/// Whether a process runs that was started with this argument.
fn is_running(argument: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|part| part == argument.as_bytes())
    })
}

#[test]
fn what_a_document_starts_ends_with_it() {
    let argument = format!("1000.{}", std::process::id());
    let place = Place::new(&format!("sleep {argument} & wait"));
    let limits = Limits {
        seconds: 2,
        ..Limits::default()
    };
    let refused = read(&place, limits).unwrap_err();
    assert_eq!(refused.reason, Reason::TooSlow, "{refused}");
    // The kernel takes a moment.
    for _ in 0..1000 {
        if !is_running(&argument) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{argument} still runs");
}

#[test]
fn output_without_end_ends() {
    let place = Place::new("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
    let limits = Limits {
        text_bytes: 1 << 10,
        ..Limits::default()
    };
    assert_eq!(read(&place, limits).unwrap_err().reason, Reason::TooMuchText);
}

#[test]
fn a_reader_that_is_killed_is_told() {
    let place = Place::new("kill -ABRT $PPID; sleep 100");
    let refused = read(&place, Limits::default()).unwrap_err();
    assert_eq!(refused.reason, Reason::ReaderFailed, "{refused}");
    // And the next one is read.
    let place = Place::new(&page("echo a text"));
    assert_eq!(
        read(&place, Limits::default()).unwrap().document.blocks[0].text,
        "A page with enough of text: a text"
    );
}
