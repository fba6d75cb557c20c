//! URLs that may hold secrets.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use reqwest::Url;

const HIDDEN: &str = "***";

/// The address of a source as the user wrote it. It may hold a password or a signature, so it
/// displays without them.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceUrl(String);

impl SourceUrl {
    /// The URL itself.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn parse(&self) -> Result<Url, String> {
        let url = Url::parse(&self.0).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the scheme {:?} is neither http nor https", url.scheme()));
        }
        Ok(url)
    }
}

impl FromStr for SourceUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(url) => f.write_str(&redacted(&url)),
            Err(_) => f.write_str("(an invalid URL)"),
        }
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL for messages: without user and password, with the names of query parameters only, without
/// fragment.
pub(crate) fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        // These fail for URLs without a host only, which have no user either.
        let _ = shown.set_password(None);
        let _ = shown.set_username(HIDDEN);
    }
    if let Some(query) = url.query() {
        let names = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={HIDDEN}"),
            None => HIDDEN.to_owned(),
        });
        shown.set_query(Some(&names.collect::<Vec<_>>().join("&")));
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://10.0.0.1:8080/model.gguf", "http://10.0.0.1:8080/model.gguf")]
    #[case("https://ann:pass@h.example/m", "https://***@h.example/m")]
    #[case("https://token@h.example/m", "https://***@h.example/m")]
    #[case(
        "https://h.example/m?X-Sig=abc&name=m#part",
        "https://h.example/m?X-Sig=***&name=***"
    )]
    #[case("https://h.example/m?justatoken", "https://h.example/m?***")]
    #[case("http://[bad", "(an invalid URL)")]
    fn secrets_are_not_shown(#[case] url: &str, #[case] shown: &str) {
        let url: SourceUrl = url.parse().unwrap();
        assert_eq!((url.to_string().as_str(), format!("{url:?}").as_str()), (shown, shown));
    }

    #[rstest]
    #[case("ftp://h.example/m", "ftp")]
    #[case("file:///etc/passwd", "file")]
    #[case("http://h.example:99999/m", "port")]
    #[case("model.gguf", "relative")]
    fn what_cannot_be_fetched_is_refused(#[case] url: &str, #[case] says: &str) {
        let error = url.parse::<SourceUrl>().unwrap().parse().unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
