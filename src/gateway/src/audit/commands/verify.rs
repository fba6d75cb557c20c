//! `atelier-gateway audit verify`.

use anyhow::Context;
use k8s_openapi::jiff::Timestamp;
use store::audit::{
    Range, Report,
    content::ContentReport,
    seal::{PublicKey, anchors},
    verify,
};

use super::{AuditArgs, VerifyArgs};

/// Walks the trail, and prints what it finds.
///
/// # Errors
/// When it cannot be done, or the trail is not as it was written.
pub async fn run(wish: VerifyArgs, args: &AuditArgs) -> anyhow::Result<()> {
    let VerifyArgs {
        since,
        until,
        key_file,
        anchor_file,
    } = wish;
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
    if let Some(pruned) = report.pruned {
        let at = Timestamp::from_microsecond(pruned.at).unwrap_or_default();
        lines += &format!(
            "expired: rows up to root {} of {at}; chains are walked from there\n",
            pruned.root
        );
    }
    lines + &contents(&report.contents)
}

fn contents(report: &ContentReport) -> String {
    let ContentReport {
        kept,
        erased,
        expired,
        broken,
    } = report;
    let verdict = match broken {
        None => "sound".to_owned(),
        Some((chain, seq, fault)) => format!("broken: that of row {seq} of chain {chain} is {fault}"),
    };
    format!("contents: {kept} kept, {erased} erased, {expired} expired, {verdict}\n")
}

#[cfg(test)]
mod tests {
    use store::audit::{
        ChainReport,
        content::ContentFault,
        verify::{Fault, Pruned, RootFault},
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
            pruned: Some(Pruned { root: 1, at: 0 }),
            contents: ContentReport {
                kept: 3,
                erased: 2,
                expired: 1,
                broken: Some(("a".into(), 4, ContentFault::Missing)),
            },
        };
        let expected = "chain a: 7 rows, sound\nchain b: 7 rows, broken: row 8 is missing\nroots: 2 checked, 2 signed by \
                        the key, 1 in the anchor file, broken: root 3: its signature is missing or not by this key\n\
                        expired: rows up to root 1 of 1970-01-01T00:00:00Z; chains are walked from there\n\
                        contents: 3 kept, 2 erased, 1 expired, broken: that of row 4 of chain a is missing\n";
        assert_eq!(text(&report, true), expected);
        assert!(text(&report, false).contains("signatures not looked at"));
    }
}
