//! Roots: what a chain alone does not show.

use std::path::PathBuf;

use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding},
};
use store::{
    audit::{
        Range, Report,
        seal::{Anchor, Key, PublicKey, seal},
        verify::{RootFault, verify},
    },
    testing::{Postgres, TestDatabase},
};
use tempfile::TempDir;

use super::{ask, check, drained, ready, strict, within};

/// A key pair in PEM, the same for the same seed.
fn key_pair(seed: u8) -> (String, String) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let private = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    (
        private.to_string(),
        key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap(),
    )
}

const OURS: u8 = 1;
const A_STRANGERS: u8 = 2;

struct Sealed {
    test: TestDatabase,
    anchors: Vec<Anchor>,
    dir: TempDir,
}

impl Sealed {
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn verified(&self, key: u8) -> Report {
        let key = PublicKey::read(self.file("public.pem", &key_pair(key).1)).unwrap();
        let verified = verify(&self.test.database, Range::default(), Some(&key), &self.anchors);
        within(verified).await.unwrap()
    }
}

/// Two chains, and a root after each one's two rows.
async fn sealed() -> Sealed {
    let mut sealed = Sealed {
        test: Postgres::shared().database().await,
        anchors: Vec::new(),
        dir: tempfile::tempdir().unwrap(),
    };
    let key = Key::read(sealed.file("private.pem", &key_pair(OURS).0)).unwrap();
    for i in 0..2 {
        let log = ready(&sealed.test.database, strict()).await;
        ask(&log, &format!("r{i}")).await.unwrap();
        drained(&log).await;
        let anchor = seal(&sealed.test.database, Some(&key)).await.unwrap();
        sealed.anchors.push(anchor.expect("a chain has grown"));
    }
    sealed
}

#[tokio::test]
async fn roots_are_made_while_chains_grow_and_each_head_is_sealed_once() {
    let sealed = sealed().await;
    assert_eq!(
        sealed.anchors.iter().map(|anchor| anchor.id).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(seal(&sealed.test.database, None).await.unwrap(), None);
    assert_eq!(sealed.test.number("SELECT count(*) FROM audit_head").await, 2);
    let report = sealed.verified(OURS).await;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.roots, report.signed, report.anchored), (2, 2, 2));
    // Another chain grows: its head alone is sealed.
    let log = ready(&sealed.test.database, strict()).await;
    ask(&log, "r").await.unwrap();
    drained(&log).await;
    assert_eq!(seal(&sealed.test.database, None).await.unwrap().unwrap().id, 3);
    assert_eq!(sealed.test.number("SELECT count(*) FROM audit_head").await, 3);
    assert!(check(&sealed.test.database).await.is_sound());
    // Without a signature it is no root of the key's.
    assert_eq!(sealed.verified(OURS).await.broken_root, Some((3, RootFault::Signature)));
}

#[tokio::test]
async fn one_replica_seals_at_a_time() {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, strict()).await;
    ask(&log, "r").await.unwrap();
    drained(&log).await;
    let seals = (0..8).map(|_| seal(&test.database, None));
    let made = within(futures::future::join_all(seals)).await;
    assert_eq!(made.into_iter().filter_map(Result::unwrap).count(), 1);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test]
async fn the_end_of_a_chain_and_a_whole_chain_cannot_vanish() {
    let sealed = sealed().await;
    let cut = "DELETE FROM audit WHERE seq = 2 AND request = 'r1'";
    sealed.test.tamper(cut).await;
    let report = sealed.verified(OURS).await;
    assert!(report.chains.iter().all(|chain| chain.broken.is_none()), "{report:?}");
    assert!(
        matches!(report.broken_root, Some((2, RootFault::Row { seq: 2, .. }))),
        "{report:?}"
    );
    sealed.test.tamper("DELETE FROM audit WHERE request = 'r0'").await;
    let report = sealed.verified(OURS).await;
    assert!(
        matches!(report.broken_root, Some((1, RootFault::Row { .. }))),
        "{report:?}"
    );
}

#[tokio::test]
async fn roots_cannot_be_changed_either() {
    for (statements, broken) in [
        (
            &["UPDATE audit_root SET at = at + interval '1 second' WHERE id = 2"][..],
            (2, RootFault::Changed),
        ),
        (
            &["UPDATE audit_head SET seq = 1 WHERE root = 1"],
            (1, RootFault::Changed),
        ),
        (
            &["UPDATE audit_root SET signature = NULL WHERE id = 2"],
            (2, RootFault::Signature),
        ),
        (
            &[
                "DELETE FROM audit_head WHERE root = 1",
                "DELETE FROM audit_root WHERE id = 1",
            ],
            (1, RootFault::Missing),
        ),
        // The newest root goes with all that it has sealed: only the anchor tells.
        (
            &[
                "DELETE FROM audit_head WHERE root = 2",
                "DELETE FROM audit_root WHERE id = 2",
                "DELETE FROM audit WHERE request = 'r1'",
            ],
            (2, RootFault::Missing),
        ),
    ] {
        let sealed = sealed().await;
        for statement in statements {
            sealed.test.tamper(statement).await;
        }
        assert_eq!(sealed.verified(OURS).await.broken_root, Some(broken), "{statements:?}");
    }
}

#[tokio::test]
async fn a_root_of_a_strangers_or_not_told_outside_is_found() {
    let mut sealed = sealed().await;
    assert_eq!(
        sealed.verified(A_STRANGERS).await.broken_root,
        Some((1, RootFault::Signature))
    );
    sealed.anchors[1].hash[0] ^= 1;
    assert_eq!(sealed.verified(OURS).await.broken_root, Some((2, RootFault::Anchor)));
}
