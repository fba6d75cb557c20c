//! What the apiserver wrote into its audit log: the one place where every write is counted.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::settings::{self, SYSTEM_NAMESPACE};

/// A place in the audit log; what comes after it can be read.
pub struct Mark {
    path: PathBuf,
    offset: u64,
}

/// The end of the log as it is now.
pub fn mark() -> Result<Mark> {
    let path = settings::cluster_dir()?.join("logs/audit.log");
    let offset = std::fs::metadata(&path)
        .with_context(|| format!("failed to look at {}", path.display()))?
        .len();
    Ok(Mark { path, offset })
}

impl Mark {
    /// What our ServiceAccounts wrote since, as `verb resource namespace/name`, but for the renewal of their
    /// leader's Lease. Reviews of tokens and of access are questions, not writes.
    pub fn writes(&self) -> Result<Vec<String>> {
        let mut file = File::open(&self.path).with_context(|| format!("failed to open {}", self.path.display()))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut writes = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            // The last line may be half written.
            let Ok(event) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            writes.extend(write_of(&event));
        }
        Ok(writes)
    }
}

fn write_of(event: &Value) -> Option<String> {
    let user = event["user"]["username"].as_str()?;
    if !user.starts_with(&format!("system:serviceaccount:{SYSTEM_NAMESPACE}:atelier-")) {
        return None;
    }
    let verb = event["verb"].as_str()?;
    let object = &event["objectRef"];
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let resource = text("resource");
    let reads = matches!(verb, "get" | "list" | "watch");
    let asks = matches!(resource, "tokenreviews" | "subjectaccessreviews");
    if reads || asks || resource == "leases" {
        return None;
    }
    Some(format!(
        "{verb} {resource}/{} {}/{}",
        text("subresource"),
        text("namespace"),
        text("name")
    ))
}
