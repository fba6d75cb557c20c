//! OpenTelemetry's environment variables, as far as they concern traces. Which traces are sampled and what is said
//! of the process (`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, limits of spans) the
//! SDK reads by itself.

use std::{fmt, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

/// Where spans go, and how.
#[derive(Clone)]
pub struct Settings {
    /// Where they are posted.
    pub endpoint: Url,
    /// Headers of each request, with the collector's credentials.
    pub headers: HeaderMap,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Certificates in PEM that the collector's may be signed by, beside the usual ones.
    pub certificate: Option<Vec<u8>>,
    /// Whether batches are compressed.
    pub gzip: bool,
    /// Spans that may wait.
    pub queue: usize,
    /// Spans of one batch.
    pub batch: usize,
    /// How long a span may wait for others.
    pub delay: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses and headers may hold secrets.
        formatter.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// A variable that makes no sense. What it is set to may be a secret, and is not said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} must be {expected}")]
pub struct Invalid {
    variable: String,
    expected: &'static str,
}

impl Settings {
    /// As the environment has them; `None` if nothing is to be sent.
    ///
    /// # Errors
    /// Which variable makes no sense.
    pub fn from_env() -> Result<Option<Self>, Invalid> {
        Self::read(&Variables(&|name| std::env::var(name).ok()))
    }

    /// To an endpoint, with the standard's defaults.
    pub fn to(endpoint: Url) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            certificate: None,
            gzip: false,
            queue: 2048,
            batch: 512,
            delay: Duration::from_secs(5),
        }
    }

    fn read(variables: &Variables<'_>) -> Result<Option<Self>, Invalid> {
        if variables
            .get("OTEL_SDK_DISABLED")
            .is_some_and(|it| it.eq_ignore_ascii_case("true"))
        {
            return Ok(None);
        }
        match variables.get("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(_) => return Err(invalid("OTEL_TRACES_EXPORTER", "\"otlp\" or \"none\"")),
        }
        let Some(endpoint) = variables.endpoint()? else {
            return Ok(None);
        };
        if let Some((variable, protocol)) = variables.otlp("PROTOCOL")
            && protocol != "http/protobuf"
        {
            let expected = "\"http/protobuf\", which collectors take at port 4318: no other protocol is spoken";
            return Err(invalid(variable, expected));
        }
        let mut settings = Self::to(endpoint);
        if let Some((variable, compression)) = variables.otlp("COMPRESSION") {
            settings.gzip = match compression.as_str() {
                "gzip" => true,
                "none" => false,
                _ => return Err(invalid(variable, "\"gzip\" or \"none\"")),
            };
        }
        if let Some((variable, path)) = variables.otlp("CERTIFICATE") {
            let pem = std::fs::read(path).map_err(|_| invalid(variable, "a file that can be read"))?;
            settings.certificate = Some(pem);
        }
        if let Some((variable, headers)) = variables.otlp("HEADERS") {
            let headers = parse_headers(&headers);
            settings.headers = headers.ok_or_else(|| invalid(variable, "KEY=VALUE pairs separated by commas"))?;
        }
        if let Some((variable, timeout)) = variables.otlp("TIMEOUT") {
            settings.timeout = Duration::from_millis(positive(variable, &timeout)?);
        }
        let number = |name: &str| variables.get(name).map(|text| positive(name, &text)).transpose();
        if let Some(queue) = number("OTEL_BSP_MAX_QUEUE_SIZE")? {
            settings.queue = (queue as usize).min(MAX_QUEUE);
        }
        if let Some(batch) = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")? {
            settings.batch = batch as usize;
        }
        settings.batch = settings.batch.min(settings.queue);
        if let Some(delay) = number("OTEL_BSP_SCHEDULE_DELAY")? {
            settings.delay = Duration::from_millis(delay);
        }
        Ok(Some(settings))
    }
}

/// A span takes about a KiB.
const MAX_QUEUE: usize = 1 << 20;

/// Where variables are looked up. Empty ones count as not set, as the standard has it.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// One of the exporter's variables, that of traces first.
    fn otlp(&self, name: &str) -> Option<(String, String)> {
        let names = [
            format!("OTEL_EXPORTER_OTLP_TRACES_{name}"),
            format!("OTEL_EXPORTER_OTLP_{name}"),
        ];
        names
            .into_iter()
            .find_map(|name| Some((name.clone(), self.get(&name)?)))
    }

    fn endpoint(&self) -> Result<Option<Url>, Invalid> {
        let Some((variable, text)) = self.otlp("ENDPOINT") else {
            return Ok(None);
        };
        let text = match variable.contains("TRACES") {
            // It is taken as it is.
            true => text,
            false => format!("{}/v1/traces", text.trim_end_matches('/')),
        };
        let url = Url::parse(&text).ok();
        let url = url.filter(|url| ["http", "https"].contains(&url.scheme()));
        url.map(Some)
            .ok_or_else(|| invalid(variable, "a URL such as http://collector:4318"))
    }
}

fn invalid(variable: impl Into<String>, expected: &'static str) -> Invalid {
    Invalid {
        variable: variable.into(),
        expected,
    }
}

fn positive(variable: impl Into<String>, text: &str) -> Result<u64, Invalid> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| invalid(variable, "a whole number above 0"))
}

/// Pairs as in W3C Baggage, whose values are percent-encoded.
fn parse_headers(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let name: HeaderName = name.trim().parse().ok()?;
        let mut value = HeaderValue::from_bytes(&percent_decoded(value.trim())?).ok()?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Some(headers)
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.split('%');
    let mut decoded = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let code = piece
            .get(..2)
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        decoded.push(u8::from_str_radix(code, 16).ok()?);
        decoded.extend_from_slice(&piece.as_bytes()[2..]);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Invalid> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&Variables(&find))
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn without_an_endpoint_nothing_is_sent() {
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_SERVICE_NAME", "x")],
            &[ENDPOINT, ("OTEL_SDK_DISABLED", "true")],
            &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert!(read(variables).unwrap().is_none(), "{variables:?}");
        }
    }

    #[test]
    fn the_variables_of_traces_go_first() {
        let settings = read(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!(settings.endpoint.as_str(), "http://collector:4318/v1/traces");
        assert_eq!((settings.queue, settings.batch), (2048, 512));
        let settings = read(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/x"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20a%3D, x-tenant = 1",
            ),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(settings.endpoint.as_str(), "https://other/x");
        assert_eq!(settings.headers["authorization"], "Bearer a=");
        assert_eq!(settings.headers["x-tenant"], "1");
        assert!(settings.gzip);
        assert_eq!(settings.timeout, Duration::from_millis(1500));
        assert_eq!((settings.queue, settings.batch), (100, 100));
        assert_eq!(settings.delay, Duration::from_millis(10));
    }

    #[test]
    fn what_makes_no_sense_is_named_and_not_repeated() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "s3cret:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://s3cret"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "s3cret"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "s3cret"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3 cret=1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
            ("OTEL_TRACES_EXPORTER", "console"),
        ] {
            let error = read(&[ENDPOINT, (variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && !error.contains("s3cret"), "{error}");
        }
    }
}
