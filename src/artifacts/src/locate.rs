//! Finding the model in a mounted source.

use std::path::{Path, PathBuf};

use checkpoint::Files;
use protocol::PrepareFailure;
use protocol::report::reasons;

use crate::digest::unreadable;
use crate::facts::of_checkpoint;

const EXTENSION: &str = "gguf";
/// Names that a message lists at most.
const MAX_LISTED: usize = 10;

/// A model of a source: a GGUF file, or a directory of safetensors files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// Where to read it.
    pub path: PathBuf,
    /// Its path inside the source; `.` for the source itself.
    pub file: String,
}

/// Finds the model that `path` names: itself, or the only one of a directory, which is a `*.gguf` file
/// or, where there are safetensors files with their `config.json`, the directory itself.
///
/// A source is mounted at `mount`; a path below it must not lead out of it through symlinks. For a
/// directory elsewhere the same holds of the directory. Symlinks inside are fine: Kubernetes
/// publishes files of volumes through them.
///
/// # Errors
/// When there is no such file, more than one, or it lies outside the source.
pub(crate) fn locate(path: &Path, mount: &Path) -> Result<Located, PrepareFailure> {
    let is_dir = std::fs::metadata(path)
        .map_err(|error| missing_or_unreadable(path, &error))?
        .is_dir();
    let root = if path.starts_with(mount) {
        Some(mount)
    } else {
        is_dir.then_some(path)
    };
    let found = if is_dir { only_model(path)? } else { path.to_owned() };
    let Some(root) = root else {
        let name = found.file_name().unwrap_or_default();
        let file = name.to_string_lossy().into_owned();
        return Ok(Located { path: found, file });
    };
    stays_inside(&found, root)?;
    if checkpoint::is_safetensors(&found) {
        let files = Files::of(&found).map_err(of_checkpoint)?;
        for name in &files.names {
            stays_inside(&files.dir.join(name), root)?;
        }
    }
    let inside = found.strip_prefix(root).unwrap_or(&found);
    let file = inside.to_string_lossy().into_owned();
    Ok(Located {
        file: if file.is_empty() { ".".into() } else { file },
        path: found,
    })
}

/// Refuses a file that lies elsewhere than its name says: symlinks or `..` may lead out of `root`.
pub(crate) fn stays_inside(file: &Path, root: &Path) -> Result<(), PrepareFailure> {
    let real = file
        .canonicalize()
        .map_err(|error| missing_or_unreadable(file, &error))?;
    let real_root = root.canonicalize().map_err(|error| unreadable(root, &error))?;
    match real.starts_with(&real_root) {
        true => Ok(()),
        false => Err(not_found(format!(
            "failed to use {}: it leads out of {} through a symlink or '..'; put the file itself into the source",
            file.display(),
            root.display()
        ))),
    }
}

fn only_model(dir: &Path) -> Result<PathBuf, PrepareFailure> {
    let mut names = names(dir)?;
    let mut weights: Vec<&String> = names.iter().filter(|name| is_weights(&dir.join(name))).collect();
    if holds_safetensors(&names) {
        return match weights.first() {
            None => Ok(dir.to_owned()),
            Some(gguf) => Err(not_found(format!(
                "failed to choose a model in {}: it has {gguf} and safetensors files; name the GGUF file in the \
                 source's path, or move it elsewhere",
                dir.display()
            ))),
        };
    }
    match (weights.pop(), weights.is_empty()) {
        (Some(name), true) => Ok(dir.join(name)),
        (Some(last), false) => {
            weights.push(last);
            Err(not_found(format!(
                "failed to choose a weights file in {}: it has several ({}); name one in the source's path",
                dir.display(),
                listed(&weights)
            )))
        }
        (None, _) => {
            names.retain(|name| !name.starts_with('.'));
            Err(not_found(format!(
                "failed to find a *.{EXTENSION} file, or safetensors files with their config.json, in {}: it holds {}; \
                 name the model in the source's path",
                dir.display(),
                listed(&names)
            )))
        }
    }
}

/// Whether these are the names of a model in safetensors files.
fn holds_safetensors(names: &[String]) -> bool {
    let has = |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(name));
    has(&|name| name == "config.json") && has(&|name| name.ends_with(".safetensors"))
}

/// Whether it is a visible file with our extension. Links are followed.
fn is_weights(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(EXTENSION));
    !hidden && extension && path.is_file()
}

fn names(dir: &Path) -> Result<Vec<String>, PrepareFailure> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn listed(names: &[impl AsRef<str>]) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    let shown: Vec<&str> = names.iter().take(MAX_LISTED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// For a missing file, what is there instead.
fn missing_or_unreadable(path: &Path, error: &std::io::Error) -> PrepareFailure {
    let parent = path.parent().filter(|_| error.kind() == std::io::ErrorKind::NotFound);
    let Some(Ok(mut beside)) = parent.map(names) else {
        return unreadable(path, error);
    };
    beside.retain(|name| !name.starts_with('.'));
    not_found(format!(
        "failed to find {}: its directory holds {}; check the path in the source",
        path.display(),
        listed(&beside)
    ))
}

fn not_found(message: String) -> PrepareFailure {
    PrepareFailure::new(reasons::FILE_NOT_FOUND, message, false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rstest::rstest;

    use super::*;

    fn dir_with(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        dir
    }

    #[rstest]
    #[case(&["a.gguf", "README.md", ".b.gguf", "deep/c.gguf"], "", "a.gguf")]
    #[case(&["A.GGUF"], "", "A.GGUF")]
    #[case(&["a.gguf", "models/b.gguf"], "models/b.gguf", "models/b.gguf")]
    #[case(&["models/b.gguf"], "models", "models/b.gguf")]
    #[case(&["weights.bin"], "weights.bin", "weights.bin")]
    #[case(&["config.json", "model.safetensors"], "", ".")]
    #[case(&["mini/config.json", "mini/model.safetensors", "a.gguf"], "mini", "mini")]
    #[case(&["mini/config.json", "mini/w.safetensors"], "mini/w.safetensors", "mini/w.safetensors")]
    fn a_file_of_a_mount_is_found(#[case] files: &[&str], #[case] path: &str, #[case] file: &str) {
        let dir = dir_with(files);
        let located = locate(&dir.path().join(path), dir.path()).unwrap();
        assert_eq!((located.file.as_str(), located.path), (file, dir.path().join(file)));
    }

    #[rstest]
    #[case(&["a.gguf", "b.gguf"], "", &["a.gguf", "b.gguf", "several"])]
    #[case(&["README.md"], "", &["README.md", "*.gguf"])]
    #[case(&[".hidden"], "", &["nothing"])]
    #[case(&["config.json", "model.safetensors", "a.gguf"], "", &["a.gguf", "safetensors"])]
    #[case(&["model.safetensors"], "", &["model.safetensors", "config.json"])]
    #[case(&["small.gguf"], "other.gguf", &["other.gguf", "small.gguf"])]
    #[case(&["small.gguf"], "no/dir/other.gguf", &["no/dir/other.gguf"])]
    fn what_is_there_instead_is_named(#[case] files: &[&str], #[case] path: &str, #[case] says: &[&str]) {
        let dir = dir_with(files);
        let failure = locate(&dir.path().join(path), dir.path()).unwrap_err();
        assert_eq!(
            (failure.reason.as_str(), failure.retryable),
            (reasons::FILE_NOT_FOUND, false)
        );
        for part in says {
            assert!(failure.message.contains(part), "{failure}");
        }
    }

    #[test]
    fn links_inside_a_volume_are_followed() {
        let dir = dir_with(&["..2026/m.gguf"]);
        symlink("..2026", dir.path().join("..data")).unwrap();
        symlink("..data/m.gguf", dir.path().join("m.gguf")).unwrap();
        assert_eq!(locate(dir.path(), dir.path()).unwrap().file, "m.gguf");
        assert_eq!(locate(dir.path(), Path::new("/elsewhere")).unwrap().file, "m.gguf");
    }

    #[test]
    fn links_out_of_a_volume_are_refused() {
        let (outside, dir) = (dir_with(&["secret.gguf"]), dir_with(&[]));
        symlink(outside.path().join("secret.gguf"), dir.path().join("m.gguf")).unwrap();
        for (path, mount) in [
            (dir.path().to_owned(), dir.path()),
            (dir.path().join("m.gguf"), dir.path()),
            (dir.path().to_owned(), Path::new("/elsewhere")),
        ] {
            let failure = locate(&path, mount).unwrap_err();
            assert!(failure.message.contains("leads out"), "{failure}");
        }
        let dir = dir_with(&["config.json"]);
        symlink(outside.path().join("secret.gguf"), dir.path().join("model.safetensors")).unwrap();
        let failure = locate(dir.path(), dir.path()).unwrap_err();
        assert!(failure.message.contains("leads out"), "{failure}");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..30).map(|i| format!("{i:02}.gguf")).collect();
        assert!(listed(&names).ends_with("09.gguf and 20 more"));
    }
}
