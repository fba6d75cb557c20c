//! The files of the console. They are part of the binary, so a page and its scripts are always of one release.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file as it is served.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its name under [`super::ASSETS`].
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $media_type:expr) => {
        File {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("web/", $name)),
        }
    };
}

/// The page on which a Room is chosen.
pub const HOME: File = file!("home.html", HTML);
/// The page of a Room, whichever it is: its script reads the address.
pub const ROOM: File = file!("room.html", HTML);

/// What pages are made of.
pub const PARTS: &[File] = &[
    file!("about.js", SCRIPT),
    file!("account.js", SCRIPT),
    file!("announce.js", SCRIPT),
    file!("answer.js", SCRIPT),
    file!("answers.css", STYLE),
    file!("api.js", SCRIPT),
    file!("ask.js", SCRIPT),
    file!("audit.js", SCRIPT),
    file!("base.css", STYLE),
    file!("citations.js", SCRIPT),
    file!("dialog.js", SCRIPT),
    file!("documents.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("events.js", SCRIPT),
    file!("feedback.js", SCRIPT),
    file!("history.js", SCRIPT),
    file!("home.js", SCRIPT),
    file!("icon.svg", PICTURE),
    file!("markdown.js", SCRIPT),
    file!("marks.js", SCRIPT),
    file!("notice.js", SCRIPT),
    file!("paged.js", SCRIPT),
    file!("parts.css", STYLE),
    file!("picture.js", SCRIPT),
    file!("quarantine.js", SCRIPT),
    file!("recent.js", SCRIPT),
    file!("room.js", SCRIPT),
    file!("search.js", SCRIPT),
    file!("session.js", SCRIPT),
    file!("signin.js", SCRIPT),
    file!("text.js", SCRIPT),
    file!("uploads.js", SCRIPT),
    file!("views.js", SCRIPT),
];

static TAGS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let files = [HOME, ROOM].into_iter().chain(PARTS.iter().copied());
    files.map(|file| (file.name, tag(file.bytes))).collect()
});

fn tag(bytes: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(bytes));
    format!("\"{}\"", &digest[..32])
}

/// A part by its name.
pub fn part(name: &str) -> Option<File> {
    PARTS.iter().find(|file| file.name == name).copied()
}

impl File {
    /// Its strong entity tag, with quotes: it changes with its bytes.
    pub fn tag(&self) -> &'static str {
        let found = TAGS.iter().find(|(name, _)| *name == self.name);
        found.map_or("\"\"", |(_, tag)| tag)
    }
}
