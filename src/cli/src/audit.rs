//! `kubectl atelier audit verify`.
//!
//! The gateway's own `audit verify` does it, in one of its pods: there is the database's URL, network policies let it
//! through, and the program knows the rows that it has written. A Job would need all three, and rights to make it.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result, ensure};

use crate::{args::Verify, cluster::Cluster, gateway::GatewayPod};

const DATABASE_OPTION: &str = "--database-url-file";
/// Where the program finds the public key: a pipe, for nothing can be written in a gateway's pod.
const KEY: &str = "/dev/fd/3";
/// Where it finds the roots. It opens the file anew, which may not be allowed with the runtime's own standard input; with
/// that of a pipe of its user's it is.
const ANCHORS: &str = "/dev/stdin";

/// Verifies the audit trail, and prints what was found.
///
/// # Errors
/// When that cannot be done. The exit status tells whether the trail is as it was written.
pub async fn verify(cluster: &Cluster, options: &Verify) -> Result<ExitCode> {
    let key = options.key_file.as_deref().map(public_key).transpose()?;
    let anchors = options
        .anchor_file
        .as_deref()
        .map(|file| std::fs::read(file).with_context(|| format!("failed to read {}", file.display())));
    let anchors = anchors.transpose()?;
    let gateway = GatewayPod::find(&cluster.client, &options.namespace).await?;
    let database = gateway.option(DATABASE_OPTION).context(
        "this Atelier has no database, and so no audit trail: set the chart's value database.embedded.enabled or \
         database.urlSecret.name",
    )?;
    // That it was started is no news here.
    let program = ["env", "ATELIER_LOG=warn", "atelier-gateway", "audit", "verify"];
    let mut program: Vec<String> = program.map(Into::into).into();
    program.push(format!("{DATABASE_OPTION}={database}"));
    let mut option = |name: &str, value: Option<&str>| {
        program.extend(value.map(|value| format!("--{name}={value}")));
    };
    option("since", options.since.as_deref());
    option("until", options.until.as_deref());
    option("key-file", key.as_ref().map(|_| KEY));
    option("anchor-file", anchors.as_ref().map(|_| ANCHORS));
    gateway.run(fed(program, key, anchors.is_some()), anchors).await
}

/// The program with a text on file descriptor 3, and with a standard input that it may open.
fn fed(program: Vec<String>, text: Option<String>, reads: bool) -> Vec<String> {
    if text.is_none() && !reads {
        return program;
    }
    let input = if reads { "cat |" } else { "exec" };
    let here = text.as_ref().map_or("", |_| " 3<<END\n$text\nEND");
    let script = format!("text=$1; shift; {input} \"$@\"{here}\n");
    let shell = ["sh".into(), "-c".into(), script, "sh".into(), text.unwrap_or_default()];
    shell.into_iter().chain(program).collect()
}

/// A public key, which may be shown to everybody.
fn public_key(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    ensure!(
        text.contains("BEGIN PUBLIC KEY") && text.len() < 4096,
        "{} does not hold a public key in PEM (openssl pkey -pubout)",
        file.display()
    );
    // Nothing may follow its last line but the line feed that the shell adds.
    Ok(text.trim_end().into())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use rstest::rstest;

    use super::*;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCow$(false)`false`\\'\"\n-----END PUBLIC KEY-----";

    /// What a program gets that prints the files it is told of.
    fn printed(files: &[&str], text: Option<&str>, input: Option<&str>) -> String {
        let program = ["cat"].iter().chain(files).map(ToString::to_string).collect();
        let command = fed(program, text.map(Into::into), input.is_some());
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
        drop(stdin);
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[rstest]
    #[case(Some(PEM), None)]
    #[case(None, Some("{\"id\":1}\n"))]
    #[case(Some(PEM), Some("{\"id\":1}\n{\"id\":2}\n"))]
    fn the_program_reads_what_lies_here(#[case] text: Option<&str>, #[case] input: Option<&str>) {
        let mut files = Vec::new();
        files.extend(text.map(|_| KEY));
        files.extend(input.map(|_| ANCHORS));
        let got = printed(&files, text, input);
        // As the shell ends it.
        let expected = text.map_or_else(String::new, |text| format!("{text}\n")) + input.unwrap_or_default();
        assert_eq!(got, expected);
    }

    #[test]
    fn how_the_program_ends_is_how_all_ends() {
        for reads in [false, true] {
            let command = fed(vec!["sh".into(), "-c".into(), "exit 3".into()], Some("x".into()), reads);
            let status = Command::new(&command[0])
                .args(&command[1..])
                .stdin(Stdio::null())
                .status()
                .unwrap();
            assert_eq!(status.code(), Some(3), "{command:?}");
        }
    }

    #[test]
    fn nothing_but_a_public_key_leaves_this_machine() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"-----BEGIN PRIVATE KEY-----\nsecret\n").unwrap();
        let error = public_key(file.path()).unwrap_err().to_string();
        assert!(
            error.contains("openssl pkey -pubout") && !error.contains("secret"),
            "{error}"
        );

        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{PEM}").unwrap();
        assert_eq!(public_key(file.path()).unwrap(), PEM);
    }
}
