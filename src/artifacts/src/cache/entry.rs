//! Whole models of the cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use protocol::PrepareReport;
use protocol::paths::{CACHE_DAMAGED, CACHE_WEIGHTS};
use serde::{Deserialize, Serialize};

use super::room::Room;
use super::{entry_lock, lock, name};
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
        path: dir.join(CACHE_WEIGHTS),
        report: note.report,
    }))
}

/// Makes the work of somebody who has verified it an entry.
pub(super) fn publish(room: &Room, work: &Path, prepared: Prepared) -> io::Result<Prepared> {
    let Prepared { report, path } = prepared;
    if let Some(found) = find(room, &report.digest)? {
        room.discard(work)?;
        // Another source may have another name for it.
        return Ok(Prepared {
            path: found.path,
            report,
        });
    }
    let name = name(&report.digest).to_owned();
    let new = room.stage(&name)?;
    std::fs::rename(path, new.join(CACHE_WEIGHTS))?;
    let mut files = BTreeMap::new();
    list(&new, "", &mut files)?;
    let note = Note { report, files };
    std::fs::write(new.join(NOTE), serde_json::to_vec(&note)?)?;
    lock::create(&entry_lock(&new))?;
    for path in [&new.join(NOTE), &new] {
        File::open(path)?.sync_all()?;
    }
    // What is damaged goes, whoever uses it: it keeps what it has open.
    let dir = room.entry(&name);
    for old in [&dir, &room.packed(&name)] {
        room.discard(old)?;
    }
    std::fs::create_dir_all(room.packed(&name))?;
    std::fs::rename(&new, &dir)?;
    File::open(room.entries())?.sync_all()?;
    room.discard(work)?;
    Ok(Prepared {
        path: dir.join(CACHE_WEIGHTS),
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
        } else {
            files.insert(path, metadata.len());
        }
    }
    Ok(())
}
