//! Which issuers are trusted, for what, and how their users are called here.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use reqwest::Url;
use serde::Deserialize;

/// One issuer, as the chart's value `gateway.oidc` has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its URL, exactly as in its tokens: `https://login.example.com/tenant`.
    pub issuer: String,
    /// The audience that its tokens must be for.
    pub audience: String,
    /// The claim that names the user. Default: sub.
    #[serde(default = "subject")]
    pub username_claim: String,
    /// What stands before the user's name, so that it is no name of another issuer.
    #[serde(default = "prefix")]
    pub username_prefix: String,
    /// The claim that lists the groups. Default: groups.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// What stands before the name of each group.
    #[serde(default = "prefix")]
    pub groups_prefix: String,
    /// A file of certificates in PEM that the issuer is trusted by, beside the usual ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn subject() -> String {
    "sub".into()
}

fn groups() -> String {
    "groups".into()
}

fn prefix() -> String {
    "oidc:".into()
}

/// The issuers in a JSON file.
///
/// # Errors
/// When it cannot be read, or makes no sense: by issuer and field.
pub fn read(path: &Path) -> anyhow::Result<Vec<IssuerSettings>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no list of issuers", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<IssuerSettings>> {
    let issuers: Vec<IssuerSettings> = serde_json::from_str(text)?;
    for (index, issuer) in issuers.iter().enumerate() {
        let name = &issuer.issuer;
        check(issuer).with_context(|| format!("oidc[{index}], issuer {name:?}"))?;
        ensure!(
            !issuers[..index].iter().any(|other| other.issuer == *name),
            "oidc[{index}].issuer {name:?} is there twice"
        );
    }
    Ok(issuers)
}

fn check(settings: &IssuerSettings) -> anyhow::Result<()> {
    let url = Url::parse(&settings.issuer).context("issuer must be a URL")?;
    ensure!(
        is_private(&url),
        "issuer must begin with https://: whoever is between could vouch for anybody"
    );
    ensure!(
        url.query().is_none() && url.fragment().is_none(),
        "issuer must have no query and no fragment"
    );
    ensure!(!settings.audience.is_empty(), "audience is missing");
    ensure!(!settings.username_claim.is_empty(), "usernameClaim must not be empty");
    for (field, prefix) in [
        ("usernamePrefix", &settings.username_prefix),
        ("groupsPrefix", &settings.groups_prefix),
    ] {
        ensure!(
            !prefix.starts_with("system:"),
            "{field} must not begin with system:, which is kept for Kubernetes' own"
        );
    }
    Ok(())
}

/// Whether nobody is between: by TLS, or because it is on this machine.
pub fn is_private(url: &Url) -> bool {
    let is_own = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.scheme() == "https" || url.scheme() == "http" && is_own
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn most_fields_have_defaults() {
        let issuers = parse(r#"[{"issuer": "https://id.example.com", "audience": "atelier"}]"#).unwrap();
        let [issuer] = &issuers[..] else {
            panic!("{issuers:?}");
        };
        assert_eq!((&*issuer.username_claim, &*issuer.username_prefix), ("sub", "oidc:"));
        assert_eq!((&*issuer.groups_claim, &*issuer.groups_prefix), ("groups", "oidc:"));
    }

    #[rstest]
    #[case::plain(r#"[{"issuer": "http://id.example.com", "audience": "a"}]"#, "https://")]
    #[case::no_url(r#"[{"issuer": "id", "audience": "a"}]"#, "must be a URL")]
    #[case::query(r#"[{"issuer": "https://id.example.com?x=1", "audience": "a"}]"#, "no query")]
    #[case::audience(r#"[{"issuer": "https://id.example.com", "audience": ""}]"#, "audience is missing")]
    #[case::reserved(
        r#"[{"issuer": "https://id.example.com", "audience": "a", "usernamePrefix": "system:"}]"#,
        "usernamePrefix must not"
    )]
    #[case::twice(
        r#"[{"issuer": "https://id.example.com", "audience": "a"}, {"issuer": "https://id.example.com", "audience": "b"}]"#,
        "oidc[1].issuer"
    )]
    #[case::unknown(
        r#"[{"issuer": "https://id.example.com", "audience": "a", "x": 1}]"#,
        "unknown field `x`"
    )]
    fn what_makes_no_sense_is_told_by_field(#[case] text: &str, #[case] expected: &str) {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}
