//! Who may see the files of a folder: files beside them that say so.
//!
//! `.atelier-acl.json` holds for its folder and all below it, `NAME.acl.json` for the file NAME beside it:
//!
//! ```json
//! {"allow": {"users": ["jane"], "groups": ["hr"]}, "clearance": 20}
//! ```
//!
//! The nearest one that has `allow` decides who; without any, it is everyone in the Room. The highest clearance of all of
//! them holds, and never less than the source's. One that cannot be read closes what it is for, and opens nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// What a folder's file is called.
pub const FOLDER: &str = ".atelier-acl.json";
/// What the name of a document's file ends with.
pub const DOCUMENT: &str = ".acl.json";
/// Bytes of such a file.
const MAX_BYTES: u64 = 256 << 10;
const MAX_CLEARANCE: u8 = 100;

/// Who may see a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Clearance that it needs.
    pub clearance: u8,
    /// `user:NAME` and `group:NAME`; none for everyone in the Room.
    pub acl: Option<BTreeSet<String>>,
}

impl Rights {
    /// Those of whoever has the clearance.
    pub fn of_source(clearance: u8) -> Self {
        Self { clearance, acl: None }
    }

    /// Nobody's.
    pub fn nobody(clearance: u8) -> Self {
        Self {
            clearance,
            acl: Some(BTreeSet::new()),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sidecar {
    #[serde(default)]
    allow: Option<Allow>,
    #[serde(default)]
    clearance: Option<u8>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Allow {
    users: Vec<String>,
    groups: Vec<String>,
}

/// The files that say who may see what, below a folder.
#[derive(Debug)]
pub struct Acls {
    root: PathBuf,
    clearance: u8,
    /// What was read of folders already: by their names below the root.
    folders: BTreeMap<String, Result<Rights, String>>,
}

impl Acls {
    /// Those below `root`, of a source with this clearance.
    pub fn new(root: &Path, clearance: u8) -> Self {
        Self {
            root: root.to_owned(),
            clearance,
            folders: BTreeMap::new(),
        }
    }

    /// Who may see a document by its name below the root.
    ///
    /// # Errors
    /// Which file cannot be read, and why.
    pub fn of(&mut self, name: &str) -> Result<Rights, String> {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let above = self.folder(folder)?;
        let sidecar = format!("{name}{DOCUMENT}");
        self.read(&sidecar)
            .map(|sidecar| sidecar.map_or(above.clone(), |sidecar| narrowed(&above, sidecar)))
    }

    fn folder(&mut self, folder: &str) -> Result<Rights, String> {
        if let Some(known) = self.folders.get(folder) {
            return known.clone();
        }
        let above = match folder {
            "" => Ok(Rights::of_source(self.clearance)),
            folder => self.folder(folder.rsplit_once('/').map_or("", |(above, _)| above)),
        };
        let name = match folder {
            "" => FOLDER.to_owned(),
            folder => format!("{folder}/{FOLDER}"),
        };
        let rights = above.and_then(|above| {
            Ok(self
                .read(&name)?
                .map_or(above.clone(), |sidecar| narrowed(&above, sidecar)))
        });
        self.folders.insert(folder.to_owned(), rights.clone());
        rights
    }

    /// A file, if there is one.
    fn read(&self, name: &str) -> Result<Option<Sidecar>, String> {
        let path = self.root.join(name);
        let refused = |why: String| format!("{name}: {why}");
        // A link that leads to nothing is there, and says nothing that could be followed.
        if path
            .symlink_metadata()
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        {
            return Ok(None);
        }
        let real = path.canonicalize().map_err(|error| refused(error.to_string()))?;
        let root = self.root.canonicalize().map_err(|error| refused(error.to_string()))?;
        if !real.starts_with(&root) || !real.is_file() {
            return Err(refused("it is no file of this folder".into()));
        }
        let mut text = String::new();
        let file = std::fs::File::open(&real).map_err(|error| refused(error.to_string()))?;
        file.take(MAX_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| refused(error.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(refused(format!("it has more than {MAX_BYTES} bytes")));
        }
        let value: Value = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        // A list would be read as the fields in their order.
        if !value.is_object() || value.get("allow").is_some_and(|allow| !allow.is_object()) {
            return Err(refused(
                "write {\"allow\": {\"users\": [], \"groups\": []}, \"clearance\": 0}".into(),
            ));
        }
        let sidecar: Sidecar = serde_json::from_value(value).map_err(|error| refused(error.to_string()))?;
        check(&sidecar).map_err(|why| refused(why.into()))?;
        Ok(Some(sidecar))
    }
}

fn check(sidecar: &Sidecar) -> Result<(), &'static str> {
    if sidecar.clearance.is_some_and(|clearance| clearance > MAX_CLEARANCE) {
        return Err("clearance must be 0 to 100");
    }
    let names = sidecar
        .allow
        .iter()
        .flat_map(|allow| allow.users.iter().chain(&allow.groups));
    for name in names {
        if name.trim().is_empty() || name.contains(char::is_control) {
            return Err("names of users and groups must not be empty");
        }
    }
    Ok(())
}

fn narrowed(above: &Rights, sidecar: Sidecar) -> Rights {
    let names = |allow: Allow| {
        let users = allow.users.into_iter().map(|user| format!("user:{user}"));
        users
            .chain(allow.groups.into_iter().map(|group| format!("group:{group}")))
            .collect()
    };
    Rights {
        clearance: above.clearance.max(sidecar.clearance.unwrap_or_default()),
        acl: sidecar.allow.map(names).or_else(|| above.acl.clone()),
    }
}

/// Whether a file is one of those.
pub fn is_sidecar(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file == FOLDER || (file.ends_with(DOCUMENT) && file.len() > DOCUMENT.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    fn acl(names: &[&str]) -> Option<BTreeSet<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn the_nearest_says_who_and_the_highest_how_much() {
        let dir = place(&[
            (
                ".atelier-acl.json",
                r#"{"allow": {"groups": ["staff"]}, "clearance": 10}"#,
            ),
            (
                "hr/.atelier-acl.json",
                r#"{"allow": {"users": ["jane"], "groups": ["hr"]}}"#,
            ),
            ("hr/deep/a.pdf.acl.json", r#"{"clearance": 5}"#),
            ("hr/deep/b.pdf.acl.json", r#"{"allow": {}}"#),
        ]);
        let mut acls = Acls::new(dir.path(), 7);
        let of = |acls: &mut Acls, name| acls.of(name).unwrap();
        let staff = of(&mut acls, "x.pdf");
        assert_eq!((staff.clearance, staff.acl), (10, acl(&["group:staff"])));
        let hr = of(&mut acls, "hr/deep/a.pdf");
        assert_eq!((hr.clearance, hr.acl), (10, acl(&["group:hr", "user:jane"])));
        assert_eq!(of(&mut acls, "hr/deep/b.pdf").acl, acl(&[]), "nobody is not everyone");
        assert_eq!(of(&mut Acls::new(place(&[]).path(), 7), "x"), Rights::of_source(7));
    }

    #[rstest]
    #[case("{")]
    #[case(r#"{"allow": null, "alow": {}}"#)]
    #[case(r#"{"allow": {"roles": ["x"]}}"#)]
    #[case(r#"{"allow": {"users": [""]}}"#)]
    #[case(r#"{"clearance": 101}"#)]
    #[case(r#"{"clearance": -1}"#)]
    #[case("[]")]
    #[case(r#"{"allow": [["jane"]]}"#)]
    fn what_cannot_be_read_closes(#[case] content: &str) {
        let dir = place(&[
            ("a/.atelier-acl.json", content),
            ("a/b/c.acl.json", "{}"),
            ("d.acl.json", content),
        ]);
        let mut acls = Acls::new(dir.path(), 0);
        for name in ["a/x", "a/b/c", "d"] {
            let why = acls.of(name).unwrap_err();
            assert!(why.contains("acl.json"), "{why}");
        }
        assert!(acls.of("e").is_ok());
    }

    #[test]
    fn links_lead_nowhere_else() {
        let (dir, other) = (place(&[("a", "x")]), place(&[("open.json", "{}")]));
        std::os::unix::fs::symlink(other.path().join("open.json"), dir.path().join("a.acl.json")).unwrap();
        std::os::unix::fs::symlink("gone", dir.path().join(FOLDER)).unwrap();
        let mut acls = Acls::new(dir.path(), 0);
        assert!(acls.of("a").is_err() && acls.of("b").is_err());
    }

    #[test]
    fn sidecars_are_no_documents() {
        assert!(is_sidecar("a/b.pdf.acl.json") && is_sidecar("a/.atelier-acl.json"));
        assert!(!is_sidecar("a/.acl.json") && !is_sidecar("acl.json"));
    }
}
