//! What a spec asks for, with defaults filled in, or every fault of it. Pure.
//!
//! Members are not looked at here: they are let in, and let in no more, whatever else a spec says.

mod owner;

use std::{collections::BTreeSet, time::Duration};

use api::{
    Room,
    finetunejob::PersonalData,
    reasons,
    room::{RedTeam, RedTeamSuite, RoomSource, RoomSpec, SqlSource},
};
use jiff::tz::TimeZone;
use kube::ResourceExt;
use protocol::{
    ingest::{ChunkSize, Cleaning},
    tune,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Settings;
use crate::controllers::common::{canonical, cron::Cron, duration, quantity::nanos, trouble::Trouble};
pub use owner::Owner;

/// How old access rights may be when the spec does not say.
const MAX_STALENESS: Duration = Duration::from_secs(24 * 3600);
/// Longest list of sources, in bytes.
const SOURCES: usize = 96 << 10;
const CHUNKS: ChunkSize = ChunkSize {
    tokens: 512,
    overlap: 64,
};

/// A spec that this release can fulfil.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// As it is written.
    pub spec: RoomSpec,
    /// Its sources of documents.
    pub sources: Vec<Source>,
    /// Names of its sources that are databases. Nobody reads them: the gateway asks them.
    pub databases: Vec<String>,
    /// Digest of all that changes what is in the Room, but for the embedding model.
    pub key: String,
    /// How old access rights may be.
    pub max_staleness: Duration,
    /// What becomes of texts.
    pub cleaning: Cleaning,
    /// Size of chunks.
    pub chunks: ChunkSize,
    /// Attempts to make the Room leak.
    pub red_team: Option<Tests>,
}

/// Attempts to make a Room leak.
#[derive(Clone, Debug)]
pub struct Tests {
    /// When, beside those that follow from what happens.
    pub times: Cron,
    /// Which; none are all.
    pub suites: Vec<RedTeamSuite>,
}

/// A source, and when it is read.
#[derive(Clone, Debug)]
pub struct Source {
    /// As it is written.
    pub spec: RoomSource,
    /// When it is read again; of uploads nothing, they are read when they arrive.
    pub times: Option<Cron>,
    /// Bytes of one document at most, of uploads.
    pub max_bytes: Option<u64>,
}

impl Source {
    /// The zone of its schedule.
    pub fn zone() -> TimeZone {
        TimeZone::UTC
    }
}

impl Wanted {
    /// Whether people bring documents.
    pub fn takes_uploads(&self) -> bool {
        self.sources.iter().any(|source| source.spec.upload.is_some())
    }
}

/// What the spec asks for.
///
/// # Errors
/// One trouble that names every field this release cannot fulfil, or every one that makes no sense.
pub fn validate(room: &Room, settings: &Settings) -> Result<Wanted, Trouble> {
    let spec = &room.spec;
    let fields = unsupported(spec);
    if !fields.is_empty() {
        let message = format!(
            "this release does not support {}: remove it from the spec",
            fields.join(", ")
        );
        return Err(Trouble::new(reasons::NOT_SUPPORTED, message));
    }
    if settings.common.data_image.is_none() || !settings.keeps_rooms {
        let message = "this installation keeps no Rooms: the operator runs without --data-image or --gateway-token-file, \
                       which the chart sets where there is a database";
        return Err(Trouble::new(reasons::NOT_SUPPORTED, message));
    }
    let mut faults = Vec::new();
    for source in &spec.sources {
        faults.extend(
            source
                .sql
                .as_ref()
                .into_iter()
                .flat_map(|sql| database(source, sql, spec)),
        );
    }
    let sources: Vec<_> = documents(spec)
        .filter_map(|source| sorted(self::source(source, room), &mut faults))
        .collect();
    let max_staleness = sorted(staleness(spec), &mut faults).unwrap_or(MAX_STALENESS);
    let cleaning = sorted(cleaning(spec), &mut faults).unwrap_or_default();
    let red_team = spec
        .red_team
        .as_ref()
        .and_then(|asked| sorted(tests(asked), &mut faults));
    if red_team.is_some() && !spec.sources.is_empty() && documents(spec).next().is_none() {
        let nothing = "spec.redTeam: a Room with databases alone has no documents to hide what is looked for among: leave it \
                       out, or add a source of documents";
        faults.push(nothing.into());
    }
    faults.extend(too_long(spec));
    if !faults.is_empty() {
        return Err(Trouble::new(reasons::INVALID_SPEC, faults.join("; ")));
    }
    let chunks = spec.ingestion.as_ref().and_then(|ingestion| ingestion.chunk.as_ref());
    let databases = spec.sources.iter().filter(|source| source.sql.is_some());
    Ok(Wanted {
        sources,
        databases: databases.map(|source| source.name.clone()).collect(),
        key: key(spec),
        max_staleness,
        cleaning,
        chunks: chunks.map_or(CHUNKS, |given| ChunkSize {
            tokens: given.tokens.unsigned_abs(),
            overlap: given.overlap.unsigned_abs(),
        }),
        red_team,
        spec: spec.clone(),
    })
}

/// Sources that documents come from: a database is asked, not read.
fn documents(spec: &RoomSpec) -> impl Iterator<Item = &RoomSource> {
    spec.sources.iter().filter(|source| source.sql.is_none())
}

/// What is wrong with a database, as far as its spec tells. The schema refuses most of it; an older one may not.
fn database(source: &RoomSource, sql: &SqlSource, spec: &RoomSpec) -> Vec<String> {
    let field = |name: &str| format!("spec.sources[{}].{name}", source.name);
    let mut faults = Vec::new();
    if spec.model.is_none() {
        faults.push(format!(
            "{} needs spec.model, which writes what it is asked: name an LlmModel",
            field("sql")
        ));
    }
    if sql.tables.is_empty() {
        faults.push(format!(
            "{} is empty: name the tables that may be asked",
            field("sql.tables")
        ));
    }
    for secret in [&sql.connection_secret_ref.name, &sql.connection_secret_ref.key] {
        if secret.is_empty() {
            faults.push(format!(
                "{} is empty: name a Secret of this namespace, and its key with a URL postgres://…",
                field("sql.connectionSecretRef")
            ));
        }
    }
    let mut names = BTreeSet::new();
    for table in &sql.tables {
        let at = field(&format!("sql.tables[{}]", table.name));
        if !names.insert(&table.name) {
            faults.push(format!("{at} is there twice: join its columns"));
        }
        if table.columns.is_empty() {
            faults.push(format!("{at}.columns is empty: name the columns that may be asked"));
        }
        let mut columns = BTreeSet::new();
        let twice = table.columns.iter().find(|column| !columns.insert(&column.name));
        faults.extend(twice.map(|column| format!("{at}.columns has {} twice", column.name)));
    }
    faults
}

/// What there is no code for. The schema refuses most of it; an older one may not.
fn unsupported(spec: &RoomSpec) -> Vec<String> {
    let mut fields = Vec::new();
    for source in &spec.sources {
        let field = |name: &str| format!("spec.sources[{}].{name}", source.name);
        let pinned = source.pvc.as_ref().and_then(|pvc| pvc.sha256.as_ref());
        fields.extend(pinned.map(|_| field("pvc.sha256")));
        let on_disk = source.object_store.as_ref().filter(|it| it.uri.starts_with("file:"));
        fields.extend(on_disk.map(|_| field("objectStore.uri with file:// (use pvc)")));
    }
    fields
}

/// All of it goes into one environment variable of a pod, of which Linux takes 128 KiB.
fn too_long(spec: &RoomSpec) -> Option<String> {
    let bytes = json!(documents(spec).collect::<Vec<_>>()).to_string().len();
    (bytes > SOURCES).then(|| {
        format!(
            "spec.sources has {bytes} bytes as JSON and may have {SOURCES}: let fewer URLs lead to the others, by depth, or \
             make a second Room"
        )
    })
}

fn sorted<T>(result: Result<T, String>, faults: &mut Vec<String>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

fn source(source: &RoomSource, room: &Room) -> Result<Source, String> {
    let field = |name: &str| format!("spec.sources[{}].{name}", source.name);
    let times = match (&source.upload, &source.schedule) {
        (Some(_), _) => None,
        (None, Some(schedule)) => Some(Cron::parse(schedule).map_err(|why| format!("{}: {why}", field("schedule")))?),
        (None, None) => Some(once_in_an_hour(&room.uid().unwrap_or_default())),
    };
    let bytes = |quantity: &str, name: &str| {
        let bytes = nanos(quantity).map(|nanos| nanos / 1_000_000_000);
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let bytes = bytes.filter(|bytes| *bytes > 0);
        bytes.ok_or_else(|| format!("{} must be a positive number of bytes, such as 64Mi", field(name)))
    };
    let max_bytes = source.upload.as_ref().map(|upload| {
        let document = bytes(&upload.max_size, "upload.maxSize")?;
        let all = bytes(&upload.max_total_size, "upload.maxTotalSize")?;
        match document <= all {
            true => Ok(document),
            false => Err(format!(
                "{} is less than maxSize, so the largest documents would be refused: raise it, or lower maxSize",
                field("upload.maxTotalSize")
            )),
        }
    });
    Ok(Source {
        times,
        max_bytes: max_bytes.transpose()?,
        spec: source.clone(),
    })
}

/// At a minute that differs from Room to Room, lest all of them read at once.
fn once_in_an_hour(uid: &str) -> Cron {
    let minute = Sha256::digest(uid)[0] % 60;
    Cron::parse(&format!("{minute} * * * *")).expect("a minute of an hour is a time")
}

fn tests(asked: &RedTeam) -> Result<Tests, String> {
    let times = Cron::parse(&asked.schedule).map_err(|why| format!("spec.redTeam.schedule: {why}"))?;
    Ok(Tests {
        times,
        suites: asked.suites.clone(),
    })
}

fn staleness(spec: &RoomSpec) -> Result<Duration, String> {
    let given = spec.access.as_ref().and_then(|access| access.max_staleness.as_ref());
    given.map_or(Ok(MAX_STALENESS), |text| {
        let duration = duration::parse(text).filter(|duration| !duration.is_zero());
        duration.ok_or_else(|| format!("spec.access.maxStaleness {text:?} is no time that rights may be old"))
    })
}

fn cleaning(spec: &RoomSpec) -> Result<Cleaning, String> {
    let Some(given) = &spec.ingestion else {
        return Ok(Cleaning {
            clean: true,
            ..Cleaning::default()
        });
    };
    let dedup = given.dedup.as_ref().map(|dedup| {
        let minhash = dedup.minhash.as_ref().map(|minhash| {
            let threshold = minhash.threshold.parse::<f64>().ok().filter(|it| it.is_finite());
            Ok::<_, String>(tune::MinHash {
                threshold: threshold.ok_or("spec.ingestion.dedup.minhash.threshold is no number")?,
                shingle: minhash.shingle.unsigned_abs(),
            })
        });
        Ok::<_, String>(tune::Dedup {
            exact: dedup.exact,
            minhash: minhash.transpose()?,
        })
    });
    Ok(Cleaning {
        clean: given.clean,
        dedup: dedup.transpose()?.unwrap_or_default(),
        pii: match given.pii {
            PersonalData::Keep => tune::PersonalData::Keep,
            PersonalData::Redact => tune::PersonalData::Redact,
            PersonalData::Drop => tune::PersonalData::Drop,
        },
    })
}

/// See [`Wanted::key`].
fn key(spec: &RoomSpec) -> String {
    let sources = documents(spec).map(|source| {
        let mut source = json!(source);
        // When it is read changes nothing about what is there.
        if let Some(fields) = source.as_object_mut() {
            fields.remove("schedule");
        }
        source
    });
    let sources: Vec<_> = sources.collect();
    let mut all = json!({"sources": sources, "ingestion": spec.ingestion});
    // What is looked for has to be planted first.
    if spec.red_team.is_some() {
        all["redTeam"] = true.into();
    }
    canonical::digest(&all, 16)
}

#[cfg(test)]
mod tests;
