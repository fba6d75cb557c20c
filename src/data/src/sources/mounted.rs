//! Files that are there already.

use std::fs::{self, Metadata};
use std::path::Path;

use protocol::PrepareFailure;
use protocol::report::reasons;

use super::SourceFile;
use crate::failure::{Result, disk};

/// Files that a source may have: their names are in memory.
const MAX_FILES: usize = 1_000_000;
/// Directories within directories.
const MAX_DEPTH: usize = 32;

/// A file, or all files below a directory, sorted by name. Names that begin with a dot are somebody else's; a link is
/// followed to a file that is below the directory as well, as Kubernetes publishes files of volumes.
pub(crate) fn files(path: &Path) -> Result<Vec<SourceFile>> {
    let missing = |error: std::io::Error| {
        let message = format!(
            "failed to find {}: {error}; check the path in the source",
            path.display()
        );
        PrepareFailure::new(reasons::FILE_NOT_FOUND, message, false)
    };
    let root = path.canonicalize().map_err(missing)?;
    if root.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![SourceFile { name, path: root }]);
    }
    let mut found = Vec::new();
    walk(&root, &root, 0, &mut found)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn walk(directory: &Path, root: &Path, depth: usize, found: &mut Vec<SourceFile>) -> Result<()> {
    let refused = |message: String| PrepareFailure::new(reasons::FILE_NOT_FOUND, message, false);
    if depth > MAX_DEPTH {
        let place = directory.display();
        return Err(refused(format!(
            "failed to read {place}: it is more than {MAX_DEPTH} directories deep"
        )));
    }
    for entry in fs::read_dir(directory).map_err(disk("read", directory))? {
        let entry = entry.map_err(disk("read", directory))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = fs::symlink_metadata(&path).map_err(disk("look at", &path))?;
        if kind.is_dir() {
            walk(&path, root, depth + 1, found)?;
            continue;
        }
        let Some(real) = file(&path, &kind, root) else {
            tracing::warn!(
                "{} is skipped: it is no file, or a link that leads elsewhere",
                path.display()
            );
            continue;
        };
        if found.len() == MAX_FILES {
            let place = root.display();
            return Err(refused(format!(
                "failed to read {place}: it holds more than {MAX_FILES} files; join them"
            )));
        }
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        found.push(SourceFile { name, path: real });
    }
    Ok(())
}

/// The file itself, if it is one and lies below the root.
fn file(path: &Path, kind: &Metadata, root: &Path) -> Option<std::path::PathBuf> {
    if kind.is_file() {
        return Some(path.to_owned());
    }
    let real = path.canonicalize().ok()?;
    (kind.is_symlink() && real.starts_with(root) && real.is_file()).then_some(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        files(path).unwrap().into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn files_come_sorted_and_links_lead_nowhere_else() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = dir.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir(root.join("..2026")).unwrap();
        for name in ["z.jsonl", "b/c/1.txt", "b/0.csv", ".hidden", "..2026/config.jsonl"] {
            fs::write(root.join(name), "x").unwrap();
        }
        fs::write(other.path().join("secret.jsonl"), "x").unwrap();
        symlink("..2026", root.join("..data")).unwrap();
        symlink("..data/config.jsonl", root.join("config.jsonl")).unwrap();
        symlink(other.path().join("secret.jsonl"), root.join("secret.jsonl")).unwrap();
        symlink(".", root.join("loop")).unwrap();
        symlink("gone", root.join("dangling")).unwrap();
        assert_eq!(names(root), ["b/0.csv", "b/c/1.txt", "config.jsonl", "z.jsonl"]);
        assert_eq!(names(&root.join("z.jsonl")), ["z.jsonl"]);
    }

    #[test]
    fn what_is_not_there_is_told() {
        let failure = files(Path::new("/no/such/place")).unwrap_err();
        assert_eq!(failure.reason, reasons::FILE_NOT_FOUND);
        assert!(
            failure.message.contains("/no/such/place") && !failure.retryable,
            "{failure}"
        );
    }
}
