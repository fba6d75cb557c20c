//! Where a database is, as a Secret says.
//!
//! Whoever writes the Secret chooses what the gateway connects to. So a URL says who, where and how, and nothing that would
//! come from this machine: no files, no sockets, no variables.

use std::net::IpAddr;

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::Failure;

/// Parameters that a URL may have.
const PARAMETERS: [&str; 3] = ["sslmode", "ssl-mode", "application_name"];
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// What it is called at the database.
const NAME: &str = "atelier-gateway";

/// What is wrong with a URL, without any part of it: it holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Another kind of database, or none.
    #[error("it does not begin with postgres://: other databases than PostgreSQL cannot be asked yet")]
    Scheme,
    /// No user.
    #[error("it has no user: write postgres://user:password@host:port/database")]
    User,
    /// No host, or a path in place of one.
    #[error("it has no host name or address")]
    Host,
    /// No database.
    #[error("it has no database: write postgres://user:password@host:port/database")]
    Database,
    /// A parameter that is not for others to set.
    #[error("it may have no parameters but sslmode")]
    Parameter,
    /// Something else.
    #[error("it cannot be read: write postgres://user:password@host:port/database, percent-encoded")]
    Malformed,
}

/// A database.
#[derive(Clone, Debug)]
pub struct Target {
    options: PgConnectOptions,
    host: String,
}

impl Target {
    /// The database of a URL. With `ca`, certificates in PEM, these alone vouch for it, and its name is checked unless the
    /// URL's `sslmode` says otherwise.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn parse(url: &str, ca: Option<&[u8]>) -> Result<Self, BadUrl> {
        let url = url.trim();
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or(BadUrl::Scheme)?;
        if rest.contains('#') {
            return Err(BadUrl::Malformed);
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let mut has_mode = false;
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let name = parameter.split('=').next().unwrap_or_default();
            if !PARAMETERS.contains(&name) {
                return Err(BadUrl::Parameter);
            }
            has_mode |= name != "application_name";
        }
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, host) = authority.rsplit_once('@').ok_or(BadUrl::User)?;
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        if name.is_empty() {
            return Err(BadUrl::User);
        }
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if host.is_empty() || host.starts_with(':') || !host.chars().all(is_host) {
            return Err(BadUrl::Host);
        }
        if database.is_empty() || database.contains('/') {
            return Err(BadUrl::Database);
        }
        // The parser's own words may quote the URL.
        let mut options: PgConnectOptions = url.parse().map_err(|_| BadUrl::Malformed)?;
        if options.get_socket().is_some() {
            return Err(BadUrl::Host);
        }
        if password.is_empty() {
            // Otherwise one would be taken from this machine.
            options = options.password("");
        }
        options = match (has_mode, ca) {
            (true, _) => options,
            (false, Some(_)) => options.ssl_mode(PgSslMode::VerifyFull),
            (false, None) => options.ssl_mode(PgSslMode::Prefer),
        };
        if let Some(ca) = ca {
            options = options.ssl_root_cert_from_pem(ca.to_vec());
        }
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        Ok(Self {
            options: options
                .host(&host)
                .application_name(NAME)
                .statement_cache_capacity(0)
                .disable_statement_logging(),
            host,
        })
    }

    /// How to get there, once it is known that every address of its host may be asked.
    pub(super) async fn resolved(&self, admits: &(dyn Fn(IpAddr) -> bool + Sync)) -> Result<PgConnectOptions, Failure> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.options.get_port())).await;
        let found: Vec<_> = found.map_err(|_| Failure::Unreachable)?.collect();
        if !found.iter().all(|address| admits(address.ip())) {
            return Err(Failure::Forbidden);
        }
        let first = found.first().ok_or(Failure::Unreachable)?;
        // The name may lead elsewhere the next time it is asked for; where a certificate is held against it, whoever is
        // there is the right one anyway.
        Ok(match self.options.get_ssl_mode() {
            PgSslMode::VerifyFull => self.options.clone(),
            _ => self.options.clone().host(&first.ip().to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_who_and_where_and_nothing_of_this_machine() {
        for (url, expected) in [
            ("mysql://u:p@h/d", BadUrl::Scheme),
            ("sqlite:///etc/passwd", BadUrl::Scheme),
            ("postgres://h/d", BadUrl::User),
            ("postgres://:p@h/d", BadUrl::User),
            ("postgres://u:p@/d", BadUrl::Host),
            ("postgres://u:p@:5432/d", BadUrl::Host),
            ("postgres://u:p@%2Fvar%2Frun/d", BadUrl::Host),
            ("postgres://u:p@h", BadUrl::Database),
            ("postgres://u:p@h/", BadUrl::Database),
            ("postgres://u:p@h/d?host=/var/run", BadUrl::Parameter),
            ("postgres://u:p@h/d?hostaddr=127.0.0.1", BadUrl::Parameter),
            ("postgres://u:p@h/d?sslmode=disable&sslkey=/etc/key", BadUrl::Parameter),
            ("postgres://u:p@h/d?sslroot%63ert=/etc/passwd", BadUrl::Parameter),
            ("postgres://u:p@h/d?options=-csearch_path%3Dx", BadUrl::Parameter),
            ("postgres://u:p@h/d#x", BadUrl::Malformed),
            ("postgres://u:p@h:99999/d", BadUrl::Malformed),
            ("postgres://u:p@h/d?sslmode=perhaps", BadUrl::Malformed),
        ] {
            assert_eq!(Target::parse(url, None).unwrap_err(), expected, "{url}");
        }
    }

    #[test]
    fn certificates_are_asked_for_as_the_url_says() {
        let mode = |url: &str, ca| Target::parse(url, ca).unwrap().options.get_ssl_mode();
        let is = |mode: PgSslMode, expected: &str| assert_eq!(format!("{mode:?}"), expected);
        is(mode("postgres://u:p@h/d", None), "Prefer");
        is(mode("postgres://u:p@h/d", Some(&b"pem"[..])), "VerifyFull");
        is(
            mode("postgres://u:p@h/d?sslmode=verify-ca", Some(&b"pem"[..])),
            "VerifyCa",
        );
        is(mode("postgresql://u@h:1/d?sslmode=require", None), "Require");
    }

    #[tokio::test]
    async fn addresses_are_looked_at_and_then_kept_to() {
        let target = Target::parse("postgres://u:p@localhost:7/d", None).unwrap();
        assert_eq!(target.resolved(&|_| false).await.unwrap_err(), Failure::Forbidden);
        let resolved = target.resolved(&|address| address.is_loopback()).await.unwrap();
        assert!(resolved.get_host().parse::<IpAddr>().unwrap().is_loopback());
        let six = Target::parse("postgres://u:p@[::1]:7/d", None).unwrap();
        assert_eq!(six.resolved(&|_| true).await.unwrap().get_host(), "::1");
        let named = Target::parse("postgres://u:p@localhost/d?sslmode=verify-full", None).unwrap();
        assert_eq!(named.resolved(&|_| true).await.unwrap().get_host(), "localhost");
    }
}
