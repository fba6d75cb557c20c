//! Rules of the house that no other tool knows.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use crate::home::Home;
use crate::process;

/// What may lie at the top of the checkout, beside hidden files.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "crds",
    "charts",
    "images",
    "examples",
    "e2e",
    "README.md",
    "LICENSE",
];
/// A longer source file has more than one subject.
const MOST_LINES: usize = 800;
/// Extensions of what people write by hand.
const SOURCES: [&str; 4] = [".rs", ".go", ".py", ".sh"];

/// Checks the files that git knows or would add.
pub fn check(home: &Home) -> Result<()> {
    let mut list = process::command("git");
    list.current_dir(&home.repo)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files = process::read(&mut list)?;
    let files: Vec<&str> = files.lines().filter(|file| home.repo.join(file).is_file()).collect();

    let mut faults = strangers(&files);
    for file in files
        .iter()
        .filter(|file| SOURCES.iter().any(|end| file.ends_with(end)))
    {
        let text = std::fs::read_to_string(home.repo.join(file)).with_context(|| format!("failed to read {file}"))?;
        let lines = text.lines().count();
        if lines >= MOST_LINES {
            faults.push(format!(
                "{file} has {lines} lines: split it by subject, {MOST_LINES} is the limit"
            ));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("the house's rules are broken:\n  {}", faults.join("\n  "))
}

/// Names at the top level that do not belong there.
fn strangers(files: &[&str]) -> Vec<String> {
    let tops: BTreeSet<&str> = files.iter().filter_map(|file| file.split('/').next()).collect();
    let strangers = tops
        .into_iter()
        .filter(|top| !top.starts_with('.') && !TOP_LEVEL.contains(top));
    strangers
        .map(|top| format!("{top} does not belong at the top level"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_names_lie_at_the_top() {
        assert!(strangers(&["src/api/src/lib.rs", ".ci/run", "README.md", "e2e/cluster/go.mod"]).is_empty());
        assert_eq!(strangers(&["Makefile", "docs/a.md", "docs/b.md"]).len(), 2);
    }
}
