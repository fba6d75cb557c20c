//! How callers name a model: `[namespace/]model[:adapter][@version]`.

use crate::error::Error;

/// Longest name accepted; Kubernetes names have at most 253 characters.
const MAX_LENGTH: usize = 512;

/// What names that exist look like, for clients.
pub const PATTERN: &str = r"^([A-Za-z0-9._-]+/)?[A-Za-z0-9._-]+(:[A-Za-z0-9._-]+)?(@[A-Za-z0-9._-]+)?$";

/// A parsed model name. Whether such a model exists is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    /// Namespace, when the caller qualified the name.
    pub namespace: Option<String>,
    /// `metadata.name` of the LlmModel.
    pub model: String,
    /// The adapter beside the model, which only workers know.
    pub adapter: Option<String>,
    /// The version the caller insists on.
    pub version: Option<String>,
}

impl ModelName {
    /// Parses what a caller wrote in `model`.
    ///
    /// # Errors
    /// [`Error::InvalidModelName`] when it cannot name anything.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::InvalidModelName {
            model: text.chars().take(MAX_LENGTH).collect(),
            reason,
        };
        if text.len() > MAX_LENGTH {
            return Err(invalid("it is too long"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(invalid("it contains white space or control characters"));
        }
        let (rest, version) = match text.split_once('@') {
            Some((_, version)) if version.contains(['@', '/', ':']) => {
                return Err(invalid("the version comes last"));
            }
            Some((rest, version)) => (rest, Some(version)),
            None => (text, None),
        };
        let (namespace, rest) = match rest.split_once('/') {
            Some((namespace, rest)) => (Some(namespace), rest),
            None => (None, rest),
        };
        let (model, adapter) = match rest.split_once(':') {
            Some((model, adapter)) => (model, Some(adapter)),
            None => (rest, None),
        };
        if model.contains('/') {
            return Err(invalid("it has more than one slash"));
        }
        let parts = [namespace, Some(model), adapter, version];
        if parts.into_iter().flatten().any(str::is_empty) {
            return Err(invalid("a part of it is empty"));
        }
        Ok(Self {
            namespace: namespace.map(Into::into),
            model: model.into(),
            adapter: adapter.map(Into::into),
            version: version.map(Into::into),
        })
    }

    /// What workers call it, given the name that they serve the model under.
    pub fn at_worker(&self, served: &str) -> String {
        match &self.adapter {
            Some(adapter) => format!("{served}:{adapter}"),
            None => served.to_owned(),
        }
    }

    /// The model's name without adapter and version, as the caller wrote it.
    pub fn unversioned(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.model),
            None => self.model.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("m", None, "m", None)]
    #[case("gpt-3.5-turbo", None, "gpt-3.5-turbo", None)]
    #[case("ns/m", Some("ns"), "m", None)]
    #[case("m@v-0123456789", None, "m", Some("v-0123456789"))]
    #[case("ns/m@v-0123456789", Some("ns"), "m", Some("v-0123456789"))]
    fn names_parse(
        #[case] text: &str,
        #[case] namespace: Option<&str>,
        #[case] model: &str,
        #[case] version: Option<&str>,
    ) {
        let name = ModelName::parse(text).unwrap();
        assert_eq!(name.namespace.as_deref(), namespace);
        assert_eq!(name.model, model);
        assert_eq!(name.version.as_deref(), version);
        let again = match version {
            Some(version) => format!("{}@{version}", name.unversioned()),
            None => name.unversioned(),
        };
        assert_eq!(again, text);
    }

    #[rstest]
    #[case("")]
    #[case("/m")]
    #[case("ns/")]
    #[case("m@")]
    #[case("@v-1")]
    #[case("a/b/c")]
    #[case("m@v/x")]
    #[case("m:")]
    #[case("m m")]
    #[case("m\n")]
    #[case(&"x".repeat(513))]
    fn nonsense_is_refused(#[case] text: &str) {
        let error = ModelName::parse(text).unwrap_err();
        assert_eq!(error.code(), "invalid_model_name", "{error}");
        assert!(error.to_string().len() < 700);
    }

    #[rstest]
    #[case("m", "served")]
    #[case("m:lora", "served:lora")]
    #[case("ns/m:lora@v-1", "served:lora")]
    fn adapters_are_passed_on(#[case] text: &str, #[case] at_worker: &str) {
        let name = ModelName::parse(text).unwrap();
        assert_eq!(
            (name.model.as_str(), name.at_worker("served").as_str()),
            ("m", at_worker)
        );
    }
}
