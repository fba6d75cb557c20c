//! Roots: what all chains have become, signed and told to somebody outside.
//!
//! Every replica may seal; one at a time does. A root is written where chains grew since the last one, so that nothing
//! is written while nothing happens. It is also logged, and appended to a file if there is one: whoever keeps one of these
//! where the database's owner cannot reach it can tell that nothing up to then was changed.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ed25519_dalek::{
    Signature, Signer, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey, DecodePublicKey},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, Row as _};

use super::{
    chain::{Hash, now},
    merkle::{self, Head},
};
use crate::{Database, Unreachable};

const DOMAIN: &[u8] = b"atelier.dev/audit/root/v1";
/// The advisory lock of whoever seals; the number means nothing.
const LOCK: i64 = 0x6174_656c_6965_7201;

/// A root in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// From 1.
    pub id: i64,
    /// When it was made, in microseconds since 1970.
    pub at: i64,
    /// The hash of the root before; zeros before the first.
    pub previous: Hash,
    /// Over the heads of the chains that grew since then.
    pub merkle: Hash,
}

impl Root {
    /// What is signed and told.
    pub fn hash(&self) -> Hash {
        let mut hash = Sha256::new_with_prefix(DOMAIN);
        hash.update(self.id.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        hash.update(self.previous);
        hash.update(self.merkle);
        hash.finalize().into()
    }
}

/// A line of the anchor file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The root.
    pub id: i64,
    /// When it was made, in microseconds since 1970.
    pub at: i64,
    /// Its hash, in hexadecimal.
    #[serde(with = "hex")]
    pub hash: Hash,
    /// Over the hash, in hexadecimal; empty without a key.
    pub signature: String,
}

/// Who signs.
#[derive(Clone)]
pub struct Key(Arc<SigningKey>);

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It holds something else.
    #[error("{} does not hold {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
}

fn text(path: &PathBuf) -> Result<String, BadFile> {
    std::fs::read_to_string(path).map_err(|error| BadFile::Unreadable {
        path: path.clone(),
        error,
    })
}

impl Key {
    /// The private key in a file, as `openssl genpkey -algorithm ed25519` makes it.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(path: PathBuf) -> Result<Self, BadFile> {
        let key = SigningKey::from_pkcs8_pem(&text(&path)?).map_err(|_| BadFile::Malformed {
            path,
            expected: "an Ed25519 private key in PEM (openssl genpkey -algorithm ed25519)",
        })?;
        Ok(Self(Arc::new(key)))
    }

    fn sign(&self, hash: &Hash) -> [u8; 64] {
        self.0.sign(hash).to_bytes()
    }
}

/// Who can tell a signature from another.
#[derive(Clone, Debug)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The public key in a file, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(path: PathBuf) -> Result<Self, BadFile> {
        let key = VerifyingKey::from_public_key_pem(&text(&path)?).map_err(|_| BadFile::Malformed {
            path,
            expected: "an Ed25519 public key in PEM (openssl pkey -pubout)",
        })?;
        Ok(Self(key))
    }

    /// Whether `signature` is the key's over `hash`.
    pub fn has_signed(&self, hash: &Hash, signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(hash, &signature).is_ok())
    }
}

/// The anchors in a file.
///
/// # Errors
/// When it holds anything else.
pub fn anchors(path: PathBuf) -> Result<Vec<Anchor>, BadFile> {
    let text = text(&path)?;
    let anchors = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    anchors.map_err(|_| BadFile::Malformed {
        path,
        expected: "one anchor a line",
    })
}

/// What can be set about sealing.
#[derive(Clone)]
pub struct Settings {
    /// How often.
    pub every: Duration,
    /// Who signs.
    pub key: Option<Key>,
    /// Where roots are told, beside the log.
    pub anchor: Option<PathBuf>,
}

/// Seals again and again.
pub async fn keep_sealing(database: Database, settings: Settings) {
    loop {
        tokio::time::sleep(settings.every).await;
        match seal(&database, settings.key.as_ref()).await {
            Ok(None) => {}
            Ok(Some(anchor)) => tell(&anchor, settings.anchor.as_ref()),
            Err(error) => tracing::warn!(%error, "the audit trail cannot be sealed"),
        }
    }
}

fn tell(anchor: &Anchor, file: Option<&PathBuf>) {
    let hash = hex::encode(anchor.hash);
    tracing::info!(
        id = anchor.id,
        hash,
        signature = anchor.signature,
        "the audit trail is sealed"
    );
    let Some(file) = file else { return };
    let line = serde_json::to_string(anchor).expect("an anchor serializes") + "\n";
    let told = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_data()));
    if let Err(error) = told {
        tracing::error!(%error, file = %file.display(), "a root of the audit trail is not in the anchor file");
    }
}

/// The heads of chains that grew since they were a leaf last, found by a skip scan.
const HEADS: &str = "
    WITH RECURSIVE chains AS (
        (SELECT chain FROM audit ORDER BY chain LIMIT 1)
        UNION ALL
        SELECT (SELECT chain FROM audit WHERE chain > c.chain ORDER BY chain LIMIT 1) FROM chains c WHERE c.chain IS NOT NULL
    )
    SELECT c.chain, head.seq, head.hash
    FROM chains c CROSS JOIN LATERAL
        (SELECT seq, hash FROM audit WHERE audit.chain = c.chain ORDER BY seq DESC LIMIT 1) head
    WHERE NOT EXISTS (SELECT FROM audit_head old WHERE old.chain = c.chain AND old.seq = head.seq)
    ORDER BY c.chain";

const INSERT_ROOT: &str = "
    INSERT INTO audit_root (id, at, previous, merkle, hash, signature)
    VALUES ($1, timestamptz 'epoch' + $2 * interval '1 microsecond', $3, $4, $5, $6)";

const INSERT_HEADS: &str = "
    INSERT INTO audit_head (root, chain, seq, hash)
    SELECT $1, chain, seq, hash FROM unnest($2::text[], $3::bigint[], $4::bytea[]) AS h (chain, seq, hash)";

/// Writes a root over what has grown; `None` if nothing has, or if somebody else is about it.
///
/// # Errors
/// When the database is not there.
pub async fn seal(database: &Database, key: Option<&Key>) -> Result<Option<Anchor>, Unreachable> {
    let mut connection = database.connect().await?;
    let mut transaction = connection.begin().await?;
    let is_mine: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *transaction)
        .await?;
    if !is_mine {
        return Ok(None);
    }
    let heads = heads(&mut transaction).await?;
    if heads.is_empty() {
        return Ok(None);
    }
    let last = sqlx::query("SELECT id, hash FROM audit_root ORDER BY id DESC LIMIT 1")
        .fetch_optional(&mut *transaction)
        .await?;
    let (id, previous) = match last {
        Some(last) => (last.try_get::<i64, _>("id")? + 1, hash_of(&last, "hash")?),
        None => (1, [0; 32]),
    };
    let root = Root {
        id,
        at: now(),
        previous,
        merkle: merkle::root(&heads),
    };
    let hash = root.hash();
    let signature = key.map(|key| key.sign(&hash).to_vec());
    sqlx::query(INSERT_ROOT)
        .bind(root.id)
        .bind(root.at)
        .bind(root.previous.as_slice())
        .bind(root.merkle.as_slice())
        .bind(hash.as_slice())
        .bind(&signature)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(INSERT_HEADS)
        .bind(root.id)
        .bind(heads.iter().map(|head| &*head.chain).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.seq).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.hash.as_slice()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(Anchor {
        id,
        at: root.at,
        hash,
        signature: hex::encode(signature.unwrap_or_default()),
    }))
}

const BASE: &str = "
    SELECT chain, seq, hash FROM audit_head WHERE chain = $1 AND root <= $2 ORDER BY seq DESC LIMIT 1";

/// The last row of a chain that roots up to `root` have sealed.
pub(super) async fn base(connection: &mut PgConnection, chain: &str, root: i64) -> sqlx::Result<Option<Head>> {
    let row = sqlx::query(BASE)
        .bind(chain)
        .bind(root)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(head).transpose()
}

async fn heads(connection: &mut PgConnection) -> sqlx::Result<Vec<Head>> {
    let rows = sqlx::query(HEADS).fetch_all(connection).await?;
    rows.iter().map(head).collect()
}

/// A head out of the columns `chain`, `seq` and `hash`.
pub(super) fn head(row: &sqlx::postgres::PgRow) -> sqlx::Result<Head> {
    Ok(Head {
        chain: row.try_get("chain")?,
        seq: row.try_get("seq")?,
        hash: hash_of(row, "hash")?,
    })
}

/// A hash; one of a wrong length, which the tables refuse, comes as zeros.
pub(super) fn hash_of(row: &sqlx::postgres::PgRow, column: &str) -> sqlx::Result<Hash> {
    Ok(row.try_get::<Vec<u8>, _>(column)?.try_into().unwrap_or_default())
}
