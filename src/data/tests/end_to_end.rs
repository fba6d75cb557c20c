//! The program, from a plan to a directory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use common::{Place, mounted};
use protocol::report::{EXIT_PERMANENT, EXIT_TEMPORARY, reasons};
use protocol::tune::{DataOutcome, PLAN_VARIABLE, records_file};
use serde_json::json;

/// Answers each request with this content.
fn serve(content: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    answer(listener, content);
    format!("http://{address}")
}

fn answer(listener: TcpListener, content: &'static [u8]) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                content.len()
            );
            let _ = stream.write_all(content);
        }
    });
}

#[test]
fn every_format_becomes_conversations() {
    let place = Place::new();
    place.write(
        "in/a.jsonl",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q1\"},{\"role\":\"assistant\",\"content\":\"a1\"}]}\n",
    );
    place.write(
        "in/b.json",
        r#"[{"conversations":[{"from":"human","value":"q2"},{"from":"gpt","value":"a2"}]}]"#,
    );
    place.write(
        "in/c/alpaca.csv",
        "instruction,input,output\nq3,,a3\n\"q4, really\",i4,a4\n",
    );
    place.write("in/c/d.yml", "categories:\n- x\nconversations:\n- - q5\n  - a5\n");
    place.write("in/e.tsv", "messages\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"q6\"\"},{\"\"role\"\":\"\"assistant\"\",\"\"content\"\":\"\"a6\"\"}]\"\n");
    place.write("in/README.md", "# About");
    let plan = place.plan("Chat", mounted(&place.path("in")));
    let report = place.ready(&plan);
    assert_eq!(report.read, 7);
    assert_eq!(report.dropped, [("unknownFile".to_owned(), 1)].into());
    let mut answers: Vec<String> = place
        .all()
        .iter()
        .map(|record| {
            assert_eq!(
                (record["source"].as_str(), record["id"].as_str().map(str::len)),
                (Some("files"), Some(16))
            );
            record["messages"][1]["content"].as_str().unwrap().to_owned()
        })
        .collect();
    answers.sort();
    assert_eq!(answers, ["a1", "a2", "a3", "a4", "a5", "a6"]);
    assert!(report.parts.train > 0 && report.parts.validation > 0);
    // Only the data are left.
    let left: Vec<_> = std::fs::read_dir(place.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(left.iter().all(|name| name == "run" || name == "run.lock"), "{left:?}");
}

#[test]
fn a_complete_directory_is_kept_and_another_plan_replaces_it() {
    let place = Place::new();
    place.write("in/a.txt", "one document");
    place.write("in/b.txt", "another document");
    let mut plan = place.plan("Text", mounted(&place.path("in")));
    let first = place.ready(&plan);
    place.write("in/c.txt", "which comes too late");
    assert_eq!(place.ready(&plan), first);
    plan["split"]["seed"] = json!(8);
    assert_eq!(place.ready(&plan).read, 3);
    std::fs::remove_file(records_file(&place.path("data/run"), "train")).unwrap();
    assert_eq!(place.ready(&plan).read, 3);
}

#[test]
fn a_file_of_a_server_is_read_by_its_name() {
    let place = Place::new();
    let url = serve(b"prompt,completion\nq,a\nr,b\n");
    let kind = json!({"http": {"url": format!("{url}/data/train.csv?x=1")}});
    let plan = place.plan("PromptCompletion", json!([{"name": "web", "weight": 1, "kind": kind}]));
    let report = place.ready(&plan);
    assert_eq!(report.read, 2);
    // sha256sum of the file, as a line `<name> <sha256>`.
    assert!(report.sources[0].digest.starts_with("sha256:"));
    let kind = json!({"http": {"url": format!("{url}/train.csv"), "sha256": "0".repeat(64)}});
    let plan = place.plan("PromptCompletion", json!([{"name": "web", "weight": 1, "kind": kind}]));
    let (output, outcome) = place.run(&plan);
    let DataOutcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(output.status.code(), Some(EXIT_PERMANENT));
    assert_eq!(failure.reason, reasons::DIGEST_MISMATCH);
    assert!(
        failure.message.contains("dataset.sources[web].http.sha256"),
        "{failure}"
    );
}

#[test]
fn what_cannot_be_read_says_where_and_what() {
    let place = Place::new();
    place.write("in/x.jsonl", "{\"question\":\"q\"}\n".repeat(3));
    let (output, outcome) = place.run(&place.plan("Chat", mounted(&place.path("in"))));
    let DataOutcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(output.status.code(), Some(EXIT_PERMANENT));
    let says = "dataset.format is Chat, but line 1 of x.jsonl has no field `messages`";
    assert!(failure.message.contains(says), "{failure}");
    let (output, outcome) = place.run(&place.plan("Chat", mounted(&place.path("none"))));
    assert!(matches!(outcome, DataOutcome::Failed(failure) if failure.reason == reasons::FILE_NOT_FOUND));
    assert_eq!(output.status.code(), Some(EXIT_PERMANENT));
}

#[test]
fn a_full_disk_is_worth_another_try() {
    let place = Place::new();
    let lines = (0..5000).map(|number| format!("{{\"text\":\"some text with the number {number}\"}}\n"));
    place.write("in/x.jsonl", lines.collect::<String>());
    let plan = place.plan("Text", mounted(&place.path("in")));
    // Files of 64 blocks of 512 bytes, as if there were no more room; without the signal that would end the process.
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' XFSZ; ulimit -f 64; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_atelier-data"),
    ]);
    let (output, outcome) = place.run_as(&mut command, &plan);
    let DataOutcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        (reasons::NO_SPACE, true),
        "{failure}"
    );
    assert_eq!(output.status.code(), Some(EXIT_TEMPORARY));
    assert!(!place.path("data/run").exists());
    assert!(place.ready(&plan).parts.train > 3000);
}

#[test]
fn the_log_tells_progress_and_the_end() {
    let place = Place::new();
    place.write("in/x.jsonl", "{\"text\":\"a\"}\n");
    let (output, _) = place.run(&place.plan("Text", mounted(&place.path("in"))));
    let text = String::from_utf8(output.stdout).unwrap();
    let outcomes: Vec<_> = text.lines().map(|line| DataOutcome::parse(line).unwrap()).collect();
    assert!(
        matches!(outcomes.first(), Some(DataOutcome::Running(progress)) if progress.read == 1),
        "{text}"
    );
    assert!(matches!(outcomes.last(), Some(DataOutcome::Ready(_))), "{text}");
}

#[test]
fn a_signal_ends_it_and_the_next_try_succeeds() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.jsonl", listener.local_addr().unwrap());
    let plan = place.plan(
        "Text",
        json!([{"name": "web", "weight": 1, "kind": {"http": {"url": url}}}]),
    );
    let report = place.path("report.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_atelier-data"))
        .args(["prepare", "--report"])
        .arg(&report)
        .env(PLAN_VARIABLE, plan.to_string())
        .spawn()
        .unwrap();
    // A server that takes its time.
    let silent = listener.accept().unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(EXIT_TEMPORARY));
    let words = std::fs::read_to_string(report).unwrap();
    assert!(
        matches!(DataOutcome::parse(&words), Some(DataOutcome::Failed(failure)) if failure.retryable),
        "{words}"
    );
    drop(silent);
    answer(listener, b"{\"text\":\"a\"}\n");
    assert_eq!(place.ready(&plan).read, 1);
}

#[test]
fn a_plan_that_is_none_is_refused() {
    let place = Place::new();
    let report = place.path("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_atelier-data"))
        .args(["prepare", "--report"])
        .arg(&report)
        .env(PLAN_VARIABLE, "{\"sources\": 3}")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(EXIT_PERMANENT));
    let words = std::fs::read_to_string(report).unwrap();
    assert!(words.contains(PLAN_VARIABLE), "{words}");
}
