//! `atelier-gateway audit verify`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use k8s_openapi::jiff::Timestamp;
use store::audit::{
    Range, Report,
    seal::{PublicKey, anchors},
    verify,
};

use super::AuditArgs;

/// What can be done instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Look after the audit trail.
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// What can be done with the audit trail.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Find out whether it is as it was written, and where not.
    Verify {
        /// Rows from then on, such as 2026-11-01T00:00:00Z. Default: from the first on.
        #[arg(long)]
        since: Option<Timestamp>,
        /// Rows before then. Default: up to the last.
        #[arg(long)]
        until: Option<Timestamp>,
        /// A file with the Ed25519 public key, in PEM, that roots must be signed by. Default: signatures are not looked at.
        #[arg(long)]
        key_file: Option<PathBuf>,
        /// A file with roots as they were told outside. Default: none.
        #[arg(long)]
        anchor_file: Option<PathBuf>,
    },
}

/// Runs a command, and prints what it finds.
///
/// # Errors
/// When it cannot be done, or the trail is not as it was written.
pub async fn run(command: Command, args: &AuditArgs) -> anyhow::Result<()> {
    let Command::Audit(AuditCommand::Verify {
        since,
        until,
        key_file,
        anchor_file,
    }) = command;
    let key = key_file.map(PublicKey::read).transpose()?;
    let anchors = anchor_file.map(anchors).transpose()?.unwrap_or_default();
    let range = Range {
        since: since.map(Timestamp::as_microsecond),
        until: until.map(Timestamp::as_microsecond),
    };
    let report = verify(&args.database()?, range, key.as_ref(), &anchors)
        .await
        .context("failed to verify the audit trail")?;
    print!("{}", text(&report, key.is_some()));
    anyhow::ensure!(report.is_sound(), "the audit trail is not as it was written");
    Ok(())
}

fn text(report: &Report, has_key: bool) -> String {
    let mut lines = String::new();
    for chain in &report.chains {
        let verdict = match chain.broken {
            None => "sound".to_owned(),
            Some((seq, fault)) => format!("broken: row {seq} is {fault}"),
        };
        lines += &format!("chain {}: {} rows, {verdict}\n", chain.chain, chain.rows);
    }
    let signed = match has_key {
        true => format!("{} signed by the key", report.signed),
        false => "signatures not looked at: no --key-file".into(),
    };
    let verdict = match &report.broken_root {
        None => "sound".to_owned(),
        Some((id, fault)) => format!("broken: root {id}: {fault}"),
    };
    lines += &format!(
        "roots: {} checked, {signed}, {} in the anchor file, {verdict}\n",
        report.roots, report.anchored
    );
    lines
}

#[cfg(test)]
mod tests {
    use store::audit::{
        ChainReport,
        verify::{Fault, RootFault},
    };

    use super::*;

    #[test]
    fn the_first_broken_row_is_named() {
        let chain = |chain: &str, broken| ChainReport {
            chain: chain.into(),
            rows: 7,
            broken,
        };
        let report = Report {
            chains: vec![chain("a", None), chain("b", Some((8, Fault::Missing)))],
            roots: 2,
            signed: 2,
            anchored: 1,
            broken_root: Some((3, RootFault::Signature)),
        };
        let expected = "chain a: 7 rows, sound\nchain b: 7 rows, broken: row 8 is missing\nroots: 2 checked, 2 signed by \
                        the key, 1 in the anchor file, broken: root 3: its signature is missing or not by this key\n";
        assert_eq!(text(&report, true), expected);
        assert!(text(&report, false).contains("signatures not looked at"));
    }
}
