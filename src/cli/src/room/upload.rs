//! `kubectl atelier room upload`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::rooms::{
    documents::Uploaded,
    search::{Overview, UploadSource},
};

use super::{Room, encoded};
use crate::text::{clean, print};

/// Adds files, each with a line of its own once it is there.
///
/// # Errors
/// With the first that is not taken. Those before it stay.
pub async fn run(room: &Room, files: &[PathBuf], source: Option<&str>) -> Result<ExitCode> {
    let overview: Overview = room.caller.get(&room.at("")).await?;
    let source = choose(&overview.uploads, source)?;
    for file in files {
        let name = upload(room, source, file)
            .await
            .with_context(|| format!("failed to upload {}", file.display()))?;
        print(&format!("{} is there as {}\n", file.display(), clean(&name)))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn upload(room: &Room, source: &UploadSource, file: &Path) -> Result<String> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.context("its name is not UTF-8")?;
    let size = tokio::fs::metadata(file).await?.len();
    ensure!(
        size <= source.max_bytes,
        "it has {size} bytes, and the source {} takes {} at most",
        source.name,
        source.max_bytes
    );
    let bytes = tokio::fs::read(file).await?;
    let path = room.at(&format!(
        "/documents?source={}&file={}",
        encoded(&source.name),
        encoded(name)
    ));
    let uploaded: Uploaded = room
        .caller
        .upload(&path, "application/octet-stream", bytes.into())
        .await?;
    Ok(format!("{}/{}", uploaded.source, uploaded.name))
}

fn choose<'a>(sources: &'a [UploadSource], wanted: Option<&str>) -> Result<&'a UploadSource> {
    let names = || {
        sources
            .iter()
            .map(|source| &*source.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (sources, wanted) {
        ([], _) => bail!("this Room takes no uploads from you"),
        ([only], None) => Ok(only),
        (_, None) => bail!("say by --source which source takes them: {}", names()),
        (_, Some(wanted)) => {
            let found = sources.iter().find(|source| source.name == wanted);
            found.with_context(|| format!("no source {wanted} takes uploads from you, these do: {}", names()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_has_to_be_named_where_there_are_several() {
        let source = |name: &str| UploadSource {
            name: name.into(),
            ..UploadSource::default()
        };
        let (one, two) = ([source("a")], [source("a"), source("b")]);
        assert_eq!(choose(&one, None).unwrap().name, "a");
        assert_eq!(choose(&two, Some("b")).unwrap().name, "b");
        assert!(choose(&two, None).unwrap_err().to_string().ends_with("a, b"));
        assert!(choose(&one, Some("c")).unwrap_err().to_string().contains("these do: a"));
        assert!(choose(&[], None).is_err());
    }
}
