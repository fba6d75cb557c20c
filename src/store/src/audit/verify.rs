//! Walking the trail: whether it is as it was written, and where not.

use std::fmt;

use sqlx::{Connection, PgConnection, Row as _};

use super::{
    chain::{Hash, genesis},
    content::{self, ContentReport},
    merkle::{self, Head},
    retention::{Marks, marks},
    rows,
    seal::{self, Anchor, PublicKey, Root},
};
use crate::{Database, Unreachable};

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Rows in memory at once.
const PAGE: i64 = 2000;

/// What is walked, in microseconds since 1970. The hash of the row before the first one is taken for granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Rows from then on.
    pub since: Option<i64>,
    /// Rows before.
    pub until: Option<i64>,
}

/// Why a row is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such row.
    Missing,
    /// It, or its hash, was changed, or it stands in another one's place.
    Changed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
        })
    }
}

/// What became of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// Its name.
    pub chain: String,
    /// Rows that are as they were written, up to the first that is not.
    pub rows: u64,
    /// The first that is not.
    pub broken: Option<(i64, Fault)>,
}

/// What is wrong with a root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootFault {
    /// Not there.
    #[error("it is missing")]
    Missing,
    /// Not the one that was written.
    #[error("it was changed")]
    Changed,
    /// Not by the key.
    #[error("its signature is missing or not by this key")]
    Signature,
    /// Not what was told outside.
    #[error("it is not the one in the anchor file")]
    Anchor,
    /// It has sealed a row that is not there any more.
    #[error("row {seq} of chain {chain}, which it seals, is missing or changed")]
    Row {
        /// The chain.
        chain: String,
        /// The row.
        seq: i64,
    },
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each chain.
    pub chains: Vec<ChainReport>,
    /// Roots that are as they were written, up to the first that is not.
    pub roots: u64,
    /// How many of them are signed by the key.
    pub signed: u64,
    /// How many of them are in the anchor file.
    pub anchored: u64,
    /// The first that is not as it was written.
    pub broken_root: Option<(i64, RootFault)>,
    /// Rows have expired.
    pub pruned: Option<Pruned>,
    /// Requests and answers.
    pub contents: ContentReport,
}

/// Chains are walked from behind the rows that have expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// The root that sealed the last of them.
    pub root: i64,
    /// When it was made, in microseconds since 1970.
    pub at: i64,
}

impl Report {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.broken_root.is_none()
            && self.contents.broken.is_none()
            && self.chains.iter().all(|chain| chain.broken.is_none())
    }
}

/// Walks all chains within `range`, and all roots. Signatures count with a `key`; `anchors` are roots as they
/// were told outside.
///
/// # Errors
/// When the database is not there.
pub async fn verify(
    database: &Database,
    range: Range,
    key: Option<&PublicKey>,
    anchors: &[Anchor],
) -> Result<Report, Unreachable> {
    let mut connection = database.connect().await?;
    // All as it is at one moment: things may expire meanwhile.
    let mut connection = connection.begin_with(SNAPSHOT).await?;
    let marks = marks(&mut connection).await?;
    let mut chains = Vec::new();
    for chain in rows::chains(&mut connection).await? {
        let base = match marks.root {
            None => None,
            Some((root, _)) => seal::base(&mut connection, &chain, root).await?,
        };
        chains.extend(walk(&mut connection, chain, base, range).await?);
    }
    let contents = content::check(&mut connection, &marks, (range.since, range.until)).await?;
    let mut report = Report {
        chains,
        roots: 0,
        signed: 0,
        anchored: 0,
        broken_root: None,
        pruned: None,
        contents,
    };
    roots(&mut connection, key, anchors, &marks, &mut report).await?;
    Ok(report)
}

const FIRST: &str = "
    SELECT min(seq) FROM audit WHERE chain = $1 AND at >= timestamptz 'epoch' + $2 * interval '1 microsecond'";

/// `None` when the chain has no rows within the range. Rows up to `base`, which a root has sealed, may be gone.
async fn walk(
    connection: &mut PgConnection,
    chain: String,
    base: Option<Head>,
    range: Range,
) -> sqlx::Result<Option<ChainReport>> {
    let mut report = ChainReport {
        rows: 0,
        broken: None,
        chain,
    };
    let (first, before) = base.map_or_else(|| (0, genesis(&report.chain)), |base| (base.seq, base.hash));
    // Times are believed only where somebody asks for a time.
    let mut last = match range.since {
        None => first,
        Some(since) => {
            let asked = sqlx::query_scalar(FIRST).bind(&report.chain).bind(since);
            let asked: Option<i64> = asked.fetch_one(&mut *connection).await?;
            let Some(asked) = asked else { return Ok(None) };
            first.max(asked - 1)
        }
    };
    let mut hash = match last {
        last if last == first => before,
        _ => match rows::page(connection, &report.chain, last - 1, 1).await?.first() {
            Some(before) if before.seq == last => before.hash,
            _ => {
                report.broken = Some((last, Fault::Missing));
                return Ok(Some(report));
            }
        },
    };
    loop {
        let page = rows::page(connection, &report.chain, last, PAGE).await?;
        if page.is_empty() {
            return Ok(Some(report));
        }
        for row in page {
            if range.until.is_some_and(|until| row.at >= until) {
                return Ok(Some(report).filter(|report| report.rows > 0));
            }
            let fault = match () {
                () if row.seq != last + 1 => Some(Fault::Missing),
                () if row.hash != row.hash_after(&hash) => Some(Fault::Changed),
                () => None,
            };
            if let Some(fault) = fault {
                report.broken = Some((last + 1, fault));
                return Ok(Some(report));
            }
            (last, hash) = (row.seq, row.hash);
            report.rows += 1;
        }
    }
}

const ROOTS: &str = "
    SELECT id, (extract(epoch FROM at) * 1000000)::bigint AS at, previous, merkle, hash, signature
    FROM audit_root ORDER BY id";

async fn roots(
    connection: &mut PgConnection,
    key: Option<&PublicKey>,
    anchors: &[Anchor],
    marks: &Marks,
    report: &mut Report,
) -> sqlx::Result<()> {
    let pruned = marks.through();
    let mut previous: Hash = [0; 32];
    let mut last = 0;
    for row in sqlx::query(ROOTS).fetch_all(&mut *connection).await? {
        let root = Root {
            id: row.try_get("id")?,
            at: row.try_get("at")?,
            previous: seal::hash_of(&row, "previous")?,
            merkle: seal::hash_of(&row, "merkle")?,
        };
        let hash = seal::hash_of(&row, "hash")?;
        let signature: Option<Vec<u8>> = row.try_get("signature")?;
        let fault = match () {
            () if root.id != last + 1 => Some(RootFault::Missing),
            () if root.previous != previous || root.hash() != hash => Some(RootFault::Changed),
            () if key.is_some_and(|key| !key.has_signed(&hash, signature.as_deref().unwrap_or_default())) => {
                Some(RootFault::Signature)
            }
            () if anchors.iter().any(|anchor| anchor.id == root.id && anchor.hash != hash) => Some(RootFault::Anchor),
            () if marks
                .root
                .as_ref()
                .is_some_and(|(id, told)| *id == root.id && *told != hex::encode(hash)) =>
            {
                Some(RootFault::Changed)
            }
            () => leaves(connection, &root, root.id > pruned).await?,
        };
        if let Some(fault) = fault {
            report.broken_root = Some((last + 1, fault));
            return Ok(());
        }
        if root.id == pruned {
            report.pruned = Some(Pruned {
                root: root.id,
                at: root.at,
            });
        }
        (last, previous) = (root.id, hash);
        report.roots += 1;
        report.signed += u64::from(key.is_some());
        report.anchored += u64::from(anchors.iter().any(|anchor| anchor.id == root.id));
    }
    if pruned > last || anchors.iter().any(|anchor| anchor.id > last) {
        report.broken_root = Some((last + 1, RootFault::Missing));
    }
    Ok(())
}

const LEAVES: &str = "
    SELECT leaf.chain, leaf.seq, leaf.hash, audit.hash IS NOT DISTINCT FROM leaf.hash AS is_there
    FROM audit_head leaf LEFT JOIN audit USING (chain, seq)
    WHERE leaf.root = $1 ORDER BY leaf.chain";

/// What is wrong with the leaves of a root, of which the rows are there unless they have expired.
async fn leaves(connection: &mut PgConnection, root: &Root, have_rows: bool) -> sqlx::Result<Option<RootFault>> {
    let rows = sqlx::query(LEAVES).bind(root.id).fetch_all(connection).await?;
    let heads = rows.iter().map(seal::head).collect::<Result<Vec<_>, _>>()?;
    if merkle::root(&heads) != root.merkle {
        return Ok(Some(RootFault::Changed));
    }
    for (head, row) in heads.into_iter().zip(&rows) {
        if have_rows && !row.try_get::<bool, _>("is_there")? {
            let (chain, seq) = (head.chain, head.seq);
            return Ok(Some(RootFault::Row { chain, seq }));
        }
    }
    Ok(None)
}
