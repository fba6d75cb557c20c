//! Files of servers and object stores.

use std::path::{Path, PathBuf};

use artifacts::data::{self, HttpFile};

use super::SourceFile;
use crate::failure::Result;

/// What a file is called whose address names none.
const NAMELESS: &str = "data";

/// The file of a URL.
pub(super) async fn http(
    url: &str,
    sha256: Option<&str>,
    headers_dir: Option<&Path>,
    directory: &Path,
) -> Result<Vec<SourceFile>> {
    // What another server may call a file never becomes part of a path.
    let path = directory.join("file");
    let file = HttpFile {
        url,
        sha256,
        headers_dir,
    };
    data::http(&file, &path, |_, _| {}).await?;
    let name = name(url);
    Ok(vec![SourceFile { name, path }])
}

/// The files of a folder of an object store.
pub(super) async fn objects(uri: &str, credentials_dir: Option<PathBuf>, directory: &Path) -> Result<Vec<SourceFile>> {
    let names = data::objects(uri, credentials_dir, directory, |_, _| {}).await?;
    let file = |name: String| SourceFile {
        path: directory.join(&name),
        name,
    };
    Ok(names.into_iter().map(file).collect())
}

/// The last part of a URL's path: it says what kind of file it is.
fn name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    match path.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => name.to_owned(),
        _ => NAMELESS.into(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://host.example/a/train.jsonl.gz?token=x/y.csv#z", "train.jsonl.gz")]
    #[case("https://host.example", "data")]
    #[case("https://host.example/a/", "data")]
    #[case("https://user:pass@host.example/download?id=7", "download")]
    fn addresses_have_names(#[case] url: &str, #[case] expected: &str) {
        assert_eq!(name(url), expected);
    }
}
