//! Whole models of the cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use protocol::PrepareReport;
use protocol::paths::CACHE_DAMAGED;
use serde::{Deserialize, Serialize};

use super::room::Room;
use super::{entry_lock, lock, name, place};
use crate::prepare::Prepared;

const NOTE: &str = ".atelier.json";

/// What is known of an entry since its bytes were verified.
#[derive(Serialize, Deserialize)]
struct Note {
    report: PrepareReport,
    /// Bytes of each file.
    files: BTreeMap<String, u64>,
}

/// The entry of a digest, if it is as it was published: its digest and the sizes of its files are compared. It
/// counts as used now.
pub(super) fn find(room: &Room, digest: &str) -> io::Result<Option<Prepared>> {
    let dir = room.entry(name(digest));
    let Some(note) = read(&dir).filter(|note| note.report.digest == digest) else {
        return Ok(None);
    };
    let is_whole = |(file, bytes): (&String, &u64)| {
        std::fs::symlink_metadata(dir.join(file)).is_ok_and(|found| found.is_file() && found.len() == *bytes)
    };
    let is_damaged = room.packed(name(digest)).join(CACHE_DAMAGED).exists();
    if is_damaged || !note.files.iter().all(is_whole) {
        tracing::warn!("{} is damaged", dir.display());
        return Ok(None);
    }
    std::fs::create_dir_all(room.packed(name(digest)))?;
    lock::create(&entry_lock(&dir))?.set_modified(SystemTime::now())?;
    tracing::info!("{digest} is in the node's cache");
    Ok(Some(Prepared {
        path: place(&dir, &note.report.file),
        report: note.report,
    }))
}

/// Makes the work of somebody who has verified it an entry.
pub(super) fn publish(room: &Room, work: &Path, prepared: Prepared) -> io::Result<Prepared> {
    let Prepared { report, .. } = prepared;
    if let Some(found) = find(room, &report.digest)? {
        room.discard(work)?;
        return Ok(found);
    }
    let mut files = BTreeMap::new();
    list(work, "", &mut files)?;
    let note = Note { report, files };
    std::fs::write(work.join(NOTE), serde_json::to_vec(&note)?)?;
    lock::create(&entry_lock(work))?;
    for path in [&work.join(NOTE), work] {
        File::open(path)?.sync_all()?;
    }
    let dir = room.entry(name(&note.report.digest));
    // What is damaged goes, whoever uses it: it keeps what it has open.
    room.discard(&dir)?;
    room.discard(&room.packed(name(&note.report.digest)))?;
    std::fs::create_dir_all(room.packed(name(&note.report.digest)))?;
    std::fs::rename(work, &dir)?;
    File::open(room.entries())?.sync_all()?;
    Ok(Prepared {
        path: place(&dir, &note.report.file),
        report: note.report,
    })
}

fn read(dir: &Path) -> Option<Note> {
    serde_json::from_slice(&std::fs::read(dir.join(NOTE)).ok()?).ok()
}

/// The files below `dir` by their paths, which begin with `prefix`.
fn list(dir: &Path, prefix: &str, files: &mut BTreeMap<String, u64>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            list(&entry.path(), &format!("{path}/"), files)?;
        } else if path != NOTE {
            files.insert(path, metadata.len());
        }
    }
    Ok(())
}
