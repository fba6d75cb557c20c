//! What a repository holds, as its server lists it.
//!
//! `GET /api/models/{repo}/revision/{revision}?blobs=true`:
//! <https://huggingface.co/docs/hub/api#get-apimodelsrepoidrevisionrevision>

use serde::Deserialize;

use crate::select::{Listed, is_inside};

/// Files that a repository may have. Each costs memory before anything is known of it.
const MAX_FILES: usize = 10_000;

/// The answer, of which we read this.
#[derive(Debug, Deserialize)]
struct Answer {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

/// A repository at one commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The commit that the revision stands for.
    pub commit: String,
    /// Its files.
    pub files: Vec<HubFile>,
}

/// One file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HubFile {
    /// Path inside the repository.
    pub path: String,
    /// Bytes, if the server says so.
    pub size: Option<u64>,
    /// How its content is verified.
    pub identity: Identity,
}

/// What the server promises of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Large files: SHA-256 of the content.
    Sha256(String),
    /// Small files: git's name of the content, SHA-1 over a header and it.
    GitBlob(String),
}

impl Listing {
    /// Reads the server's answer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let commit = answer.sha.ok_or("it names no commit (sha)")?;
        if !is_hex(&commit, 40) {
            return Err(format!("its commit {:?} is not 40 hex digits", shortened(&commit)));
        }
        if answer.siblings.len() > MAX_FILES {
            return Err(format!(
                "it lists {} files, more than {MAX_FILES}",
                answer.siblings.len()
            ));
        }
        let files = answer.siblings.into_iter().map(HubFile::try_from);
        Ok(Self {
            commit,
            files: files.collect::<Result<_, _>>()?,
        })
    }
}

impl Listed for HubFile {
    fn path(&self) -> &str {
        &self.path
    }
}

impl TryFrom<Sibling> for HubFile {
    type Error = String;

    fn try_from(sibling: Sibling) -> Result<Self, String> {
        let Sibling {
            rfilename: path,
            size,
            blob_id,
            lfs,
        } = sibling;
        // What is written below our directory is named by the server.
        if !is_inside(&path) {
            return Err(format!(
                "it lists a file {:?}, which is no path inside it",
                shortened(&path)
            ));
        }
        let (identity, size) = match (lfs, blob_id) {
            (Some(lfs), _) if is_hex(&lfs.sha256, 64) => (Identity::Sha256(lfs.sha256), Some(lfs.size)),
            (None, Some(blob)) if is_hex(&blob, 40) => (Identity::GitBlob(blob), size),
            _ => return Err(format!("it names no digest of {:?}", shortened(&path))),
        };
        Ok(Self { path, size, identity })
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn parse(siblings: Value) -> Result<Listing, String> {
        Listing::parse(
            json!({"sha": "a".repeat(40), "siblings": siblings})
                .to_string()
                .as_bytes(),
        )
    }

    #[test]
    fn large_and_small_files_have_different_digests() {
        let listing = parse(json!([
            {"rfilename": "a.gguf", "size": 9, "blobId": "b".repeat(40), "lfs": {"sha256": "c".repeat(64), "size": 9, "pointerSize": 130}},
            {"rfilename": "sub/config.json", "size": 3, "blobId": "d".repeat(40)},
        ]))
        .unwrap();
        assert_eq!(listing.commit, "a".repeat(40));
        assert_eq!(listing.files[0].identity, Identity::Sha256("c".repeat(64)));
        assert_eq!(listing.files[1].identity, Identity::GitBlob("d".repeat(40)));
    }

    #[rstest]
    #[case("../up")]
    #[case("/etc/passwd")]
    #[case("a//b")]
    #[case("a/./b")]
    #[case("a\\b")]
    #[case("")]
    fn names_that_lead_elsewhere_are_refused(#[case] name: &str) {
        let error = parse(json!([{"rfilename": name, "blobId": "d".repeat(40)}])).unwrap_err();
        assert!(error.contains("no path inside"), "{error}");
    }

    #[test]
    fn answers_that_are_no_listing_are_refused() {
        for (text, says) in [
            ("<html>", "expected value"),
            ("{}", "commit"),
            (r#"{"sha": "main"}"#, "40 hex"),
        ] {
            assert!(Listing::parse(text.as_bytes()).unwrap_err().contains(says));
        }
        let error = parse(json!([{"rfilename": "a"}])).unwrap_err();
        assert!(error.contains("no digest"), "{error}");
        let many: Vec<_> = (0..=MAX_FILES).map(|i| json!({"rfilename": i.to_string()})).collect();
        assert!(parse(json!(many)).unwrap_err().contains("more than"));
    }
}
