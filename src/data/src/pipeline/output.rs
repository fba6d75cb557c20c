//! The second pass: the files that are learned from, and the manifest behind them.
//!
//! The digest of a data set is the SHA-256 of the lines that `sha256sum` would give for `test.jsonl`, `train.jsonl` and
//! `validation.jsonl`, turned around and in this order: `<name> <sha256>` and a line feed for each.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use protocol::tune::{DataPlan, DataReport, DatasetManifest, MANIFEST, SplitCounts, records_file};
use sha2::{Digest as _, Sha256};

use super::again::{Again, Copies};
use super::samples::Samples;
use super::spill::{Spilled, open};
use super::split::{Fate, Fates};
use super::tally::Tally;
use crate::failure::{Result, disk};
use crate::report::Progress;
use crate::{plan, record};

pub(super) const BUFFER_BYTES: usize = 1 << 18;

/// Writes all parts and the manifest into `to`.
pub(super) fn write(
    plan: &DataPlan,
    spilled: &Spilled,
    fates: &Fates,
    to: &Path,
    tally: &mut Tally,
    samples: &mut Samples,
    progress: &mut Progress,
) -> Result<DataReport> {
    fs::create_dir_all(to).map_err(disk("create", to))?;
    let [mut train, mut validation, mut test] = ["train", "validation", "test"].map(|part| Part::create(to, part));
    let (train, validation, test) = (train.as_mut(), validation.as_mut(), test.as_mut());
    let (train, validation, test) = match (train, validation, test) {
        (Ok(train), Ok(validation), Ok(test)) => (train, validation, test),
        (Err(failure), ..) | (_, Err(failure), _) | (.., Err(failure)) => return Err(failure.clone()),
    };
    let mut again = Again::create(plan, to)?;
    for (entry, fate) in spilled.records()?.zip(fates.all()?) {
        let (entry, fate) = (entry?, fate?);
        progress.tick();
        let source = entry.source as usize;
        let duplicate = match fate {
            Fate::Exact => Some(record::reasons::DUPLICATE),
            Fate::Near => Some(record::reasons::NEAR_DUPLICATE),
            _ => None,
        };
        let before = if entry.before.is_empty() {
            &entry.content
        } else {
            &entry.before
        };
        if let Some(reason) = duplicate {
            tally.dropped(reason);
            samples.dropped(reason, &entry.origin, before);
            progress.now.kept -= 1;
            continue;
        }
        let name = &plan.sources[source].name;
        tally.sources[source].kept += 1;
        if samples.wants_kept(entry.hash) {
            samples.kept(entry.hash, &entry.origin, before, &entry.content);
        }
        let line = record::line(&entry.content, name);
        match fate {
            Fate::Validation => validation.line(&line)?,
            Fate::Test => test.line(&line)?,
            _ => {
                train.line(&line)?;
                again.line(source, entry.hash, &line)?;
            }
        }
    }
    again.append_to(|copies| train.append(copies))?;
    let mut lines = String::new();
    let mut bytes = 0;
    for part in [&mut *test, &mut *train, &mut *validation] {
        let (name, sha256) = part.finish()?;
        lines += &format!("{name} {sha256}\n");
        bytes += part.bytes;
    }
    let report = DataReport {
        digest: format!("sha256:{}", hex::encode(Sha256::digest(lines))),
        parts: SplitCounts {
            train: train.count,
            validation: validation.count,
            test: test.count,
        },
        read: tally.read,
        dropped: tally.dropped.clone(),
        bytes,
        sources: tally.sources.clone(),
    };
    let manifest = DatasetManifest {
        report: report.clone(),
        plan: plan::digest(plan),
        samples: samples.take(),
        flags: tally.flags.clone(),
        quarantined: tally.quarantined.clone(),
    };
    write_manifest(to, &manifest)?;
    Ok(report)
}

fn write_manifest(to: &Path, manifest: &DatasetManifest) -> Result<()> {
    let path = to.join(MANIFEST);
    let json = serde_json::to_vec_pretty(manifest).expect("a manifest has text keys only");
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&json)?;
        file.sync_all()?;
        File::open(to)?.sync_all()
    };
    write().map_err(disk("write", &path))
}

/// The file of a part.
struct Part {
    path: PathBuf,
    file: BufWriter<Hashed>,
    count: u64,
    bytes: u64,
}

impl Part {
    fn create(to: &Path, part: &str) -> Result<Self> {
        let path = records_file(to, part);
        let file = File::create(&path).map_err(disk("create", &path))?;
        let hashed = Hashed {
            file,
            hasher: Sha256::new(),
        };
        Ok(Self {
            path,
            file: BufWriter::with_capacity(BUFFER_BYTES, hashed),
            count: 0,
            bytes: 0,
        })
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let Self { file, path, .. } = self;
        let written = file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n"));
        written.map_err(disk("write", path))?;
        self.count += 1;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    /// Appends lines that are in a file.
    fn append(&mut self, copies: &Copies) -> Result<()> {
        let mut file = open(&copies.path)?;
        io::copy(&mut file, &mut self.file).map_err(disk("write", &self.path))?;
        self.count += copies.lines;
        self.bytes += copies.bytes;
        Ok(())
    }

    /// Makes it durable; its name and SHA-256.
    fn finish(&mut self) -> Result<(String, String)> {
        let Self { file, path, .. } = self;
        let synced = file.flush().and_then(|()| file.get_ref().file.sync_all());
        synced.map_err(disk("write", path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, hex::encode(file.get_ref().hasher.clone().finalize())))
    }
}

/// Hashes what is written.
struct Hashed {
    file: File,
    hasher: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
