//! `atelier-data prepare`: sources, then the pipeline, then a directory that appears all at once.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use artifacts::report::ReportFile;
use protocol::PrepareFailure;
use protocol::report::reasons;
use protocol::tune::{DataPlan, DataReport, DatasetManifest, MANIFEST, records_file};

use crate::failure::{Result, disk};
use crate::readers::Programs;
use crate::sources::{self, SourceFile};
use crate::{pipeline, plan};

/// Carries out a plan with the help of `programs`; what came of it. A directory that is complete and answers the same plan is kept.
///
/// # Errors
/// When the plan makes no sense, the data cannot be read or are no good, or the disk fails. After what may succeed at
/// another try, downloads stay and are continued.
pub async fn prepare(plan: DataPlan, programs: Programs, report: ReportFile) -> Result<DataReport> {
    plan::check(&plan)?;
    let digest = plan::digest(&plan);
    if let Some(report) = complete(&plan.to, &digest) {
        tracing::info!("{} is complete already", plan.to.display());
        return Ok(report);
    }
    let parent = plan.to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(disk("create", parent))?;
    let _lock = lock(&beside(&plan.to, "lock"))?;
    let scratch = plan.scratch.clone().unwrap_or_else(|| beside(&plan.to, "scratch"));
    let work = scratch.join(&digest[..16]);
    let result = work_in(&plan, &work, programs, &report).await;
    let is_over = match &result {
        Ok(_) => true,
        Err(failure) => !failure.retryable,
    };
    if is_over {
        remove(&work)?;
        // Another plan's work may be there.
        let _ = fs::remove_dir(&scratch);
    }
    result
}

async fn work_in(plan: &DataPlan, work: &Path, programs: Programs, report: &ReportFile) -> Result<DataReport> {
    let passes = work.join("passes");
    remove(&passes)?;
    fs::create_dir_all(&passes).map_err(disk("create", &passes))?;
    let settings = sources::Settings {
        format: plan.format,
        max_bytes: plan::max_record_bytes(plan),
    };
    let mut gathered: Vec<Vec<SourceFile>> = Vec::new();
    for (index, source) in plan.sources.iter().enumerate() {
        let directory = work.join(format!("source-{index}"));
        fs::create_dir_all(&directory).map_err(disk("create", &directory))?;
        gathered.push(sources::gather(source, &directory, settings).await?);
    }
    let partial = beside(&plan.to, "partial");
    remove(&partial)?;
    let (plan, report) = (plan.clone(), report.clone());
    let running = tokio::task::spawn_blocking(move || {
        let done = pipeline::run(&plan, &gathered, &passes, &partial, programs, report);
        let published = done.and_then(|done| {
            publish(&partial, &plan.to)?;
            Ok(done)
        });
        if published.is_err() {
            // What made it fail counts for more.
            let _ = remove(&partial);
        }
        let _ = remove(&passes);
        published
    });
    running.await.unwrap_or_else(|error| {
        let message = format!("failed to prepare the data: {error}");
        Err(PrepareFailure::new(reasons::INTERNAL, message, true))
    })
}

/// The report of a directory that answers the plan, with all its files.
fn complete(to: &Path, digest: &str) -> Option<DataReport> {
    let text = fs::read(to.join(MANIFEST)).ok()?;
    let manifest: DatasetManifest = serde_json::from_slice(&text).ok()?;
    let lengths =
        ["train", "validation", "test"].map(|part| fs::metadata(records_file(to, part)).map(|file| file.len()));
    let bytes: u64 = lengths
        .into_iter()
        .collect::<io::Result<Vec<_>>>()
        .ok()?
        .into_iter()
        .sum();
    (manifest.plan == digest && manifest.report.bytes == bytes).then_some(manifest.report)
}

/// Gives a directory its place, instead of one that is not complete or answers another plan.
fn publish(partial: &Path, to: &Path) -> Result<()> {
    remove(to)?;
    fs::rename(partial, to).map_err(disk("rename", partial))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(disk("write", parent))
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk("remove", directory)(error)),
        _ => Ok(()),
    }
}

/// The exclusive right to write, as long as the file is open.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(disk("create", path))?;
    locked(file.try_lock(), path).map(|()| file)
}

/// What came of locking. Some volumes have no locks: work goes on there, and its result appears all at once.
fn locked(result: std::result::Result<(), TryLockError>, path: &Path) -> Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "failed to begin: another process prepares the same data ({})",
                path.display()
            );
            Err(PrepareFailure::new(reasons::INTERNAL, message, true))
        }
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            tracing::warn!(
                "{} cannot be locked: two that prepare the same data at once would not notice",
                path.display()
            );
            Ok(())
        }
        Err(TryLockError::Error(error)) => Err(disk("lock", path)(error)),
    }
}

/// `TO.suffix`.
fn beside(to: &Path, suffix: &str) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_without_locks_is_worked_on() {
        let path = Path::new("/x");
        let error = |kind: io::ErrorKind| Err(TryLockError::Error(kind.into()));
        assert!(locked(error(io::ErrorKind::Unsupported), path).is_ok());
        assert!(locked(error(io::ErrorKind::StorageFull), path).is_err());
        let failure = locked(Err(TryLockError::WouldBlock), path).unwrap_err();
        assert!(failure.retryable && failure.message.contains("/x"), "{failure}");
    }
}
