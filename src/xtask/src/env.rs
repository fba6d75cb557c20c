//! Environments as shell exports: of the running cluster for clients, of the build for people who call cargo.

use std::ffi::OsStr;

use anyhow::Result;

use crate::cargo;
use crate::demo;
use crate::home::Home;
use crate::target::Target;

/// `KUBECONFIG`, `ATELIER_URL` and a fresh `ATELIER_TOKEN` of the local cluster.
pub fn cluster(target: &Target) -> Result<Vec<(&'static str, String)>> {
    let mut variables = Vec::new();
    if let Target::Local(cluster) = target {
        variables.push(("KUBECONFIG", cluster.kubeconfig().display().to_string()));
    }
    variables.push(("ATELIER_URL", target.gateway()?.url()));
    variables.push(("ATELIER_TOKEN", demo::token(target)?));
    Ok(variables)
}

/// Prints exports for `eval "$(cargo xtask env)"`.
pub fn print_cluster(home: &Home) -> Result<()> {
    let target = Target::new(home, None)?;
    target.require()?;
    for (name, value) in cluster(&target)? {
        println!("{}", export(name, OsStr::new(&value)));
    }
    Ok(())
}

/// Prints exports for `eval "$(cargo xtask env --build)"`.
pub fn print_build(home: &Home) {
    for (name, value) in cargo::environment(home) {
        println!("{}", export(name, &value));
    }
}

/// One line that any shell reads back as it was.
fn export(name: &str, value: &OsStr) -> String {
    let value = value.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if value.chars().all(plain) {
        format!("export {name}={value}")
    } else {
        format!("export {name}='{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_a_shell_would_split_them() {
        for (value, expected) in [
            ("/var/cache/x", "export A=/var/cache/x"),
            ("a b", "export A='a b'"),
            ("it's", r"export A='it'\''s'"),
            ("", "export A="),
        ] {
            assert_eq!(export("A", OsStr::new(value)), expected);
        }
    }
}
