//! What a registry wants to see before it answers: <https://distribution.github.io/distribution/spec/auth/token/>.

use reqwest::Url;
use serde::Deserialize;

/// A `WWW-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password.
    Basic,
    /// A token from another server.
    Bearer {
        /// Where to get it.
        realm: Url,
        /// Whom it is for.
        service: Option<String>,
    },
}

/// The answer of the server of tokens.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Challenge {
    /// Reads the header's value. Of parameters that we need none are missing.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        for (name, value) in parameters(rest) {
            match name {
                "realm" => realm = Url::parse(value).ok(),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service })
    }

    /// Where to ask for a token that lets read a repository.
    pub(super) fn token_url(realm: &Url, service: Option<&str>, repository: &str) -> Url {
        let mut url = realm.clone();
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        // No more than is needed, whatever the challenge says.
        query.append_pair("scope", &format!("repository:{repository}:pull"));
        drop(query);
        url
    }
}

/// The token in the server's answer.
pub(super) fn token(json: &[u8]) -> Option<String> {
    let answer: Answer = serde_json::from_slice(json).ok()?;
    answer.token.or(answer.access_token).filter(|token| !token.is_empty())
}

/// The pairs of `a="b",c=d`; commas inside quotes are part of a value.
fn parameters(mut text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.push((name.trim_matches([' ', ',']), value));
        text = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        r#"Bearer realm="https://a.example/token",service="r.example",scope="repository:a:pull,push""#,
        Some("r.example")
    )]
    #[case(r#"bearer  scope="a,realm=b", realm=https://a.example/token"#, None)]
    fn tokens_are_to_be_had_somewhere(#[case] value: &str, #[case] service: Option<&str>) {
        let expected = Challenge::Bearer {
            realm: Url::parse("https://a.example/token").unwrap(),
            service: service.map(str::to_owned),
        };
        assert_eq!(Challenge::parse(value), Some(expected));
    }

    #[test]
    fn other_challenges() {
        assert_eq!(Challenge::parse(r#"Basic realm="x""#), Some(Challenge::Basic));
        for unknown in [
            "",
            "Negotiate",
            "Bearer",
            r#"Bearer service="x""#,
            r#"Bearer realm="nowhere""#,
        ] {
            assert_eq!(Challenge::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_token_is_asked_for_reading_alone() {
        let realm = Url::parse("https://a.example/token?x=1").unwrap();
        let url = Challenge::token_url(&realm, Some("r & s"), "team/m");
        assert_eq!(
            url.as_str(),
            "https://a.example/token?x=1&service=r+%26+s&scope=repository%3Ateam%2Fm%3Apull"
        );
    }

    #[test]
    fn the_token_has_two_names() {
        assert_eq!(token(br#"{"token":"a"}"#).as_deref(), Some("a"));
        assert_eq!(token(br#"{"access_token":"b"}"#).as_deref(), Some("b"));
        assert_eq!(token(br#"{"token":""}"#), None);
        assert_eq!(token(b"<html>"), None);
    }
}
