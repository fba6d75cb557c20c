//! What a store's errors mean, and what to do about them.

use object_store::Error;
use object_store::client::HttpError;
use protocol::PrepareFailure;
use protocol::report::reasons;

use super::credentials::FIELD;
use super::uri::{ObjectUri, Service};

/// The failure that an error of the store is. `what` is what was tried: `list s3://bucket/dir/`.
pub(super) fn failure(what: &str, uri: &ObjectUri, error: &Error) -> PrepareFailure {
    let (reason, retryable, advice) = judge(uri, error);
    let message = format!("failed to {what}: {}; {advice}", explain(error));
    PrepareFailure::new(reason, message, retryable)
}

/// Reason, whether another try can help, and what to do.
fn judge(uri: &ObjectUri, error: &Error) -> (&'static str, bool, String) {
    let text = error.to_string();
    let status = status(&text);
    if status.is_some_and(|status| (300..400).contains(&status))
        || ["redirect without LOCATION", "AuthorizationHeaderMalformed"]
            .iter()
            .any(|sign| text.contains(sign))
    {
        let key = match uri.service {
            Service::S3 => "AWS_REGION and AWS_ENDPOINT_URL",
            Service::Azure => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ENDPOINT",
            Service::Google => "GOOGLE_BASE_URL",
        };
        let advice = format!("the bucket is elsewhere: check {key} in the Secret that {FIELD} names");
        return (reasons::NOT_FOUND, false, advice);
    }
    match (error, status) {
        // Listings have no error of their own for these.
        (Error::NotFound { .. }, _) | (_, Some(404)) => {
            let advice =
                format!("check bucket and path in spec.source.objectStore.uri, and account and endpoint in {FIELD}");
            (reasons::NOT_FOUND, false, advice)
        }
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) | (_, Some(401 | 403)) => {
            let advice = format!("check the credentials in {FIELD}, and that they may list and read it");
            (reasons::FORBIDDEN, false, advice)
        }
        (Error::Precondition { .. }, _) => {
            let advice = "it changes while it is fetched: upload a new version under another name".to_owned();
            (reasons::DOWNLOAD_FAILED, true, advice)
        }
        (_, Some(status)) if (400..500).contains(&status) && !matches!(status, 408 | 425 | 429) => {
            let advice = format!("check spec.source.objectStore.uri and the Secret in {FIELD}");
            (reasons::DOWNLOAD_FAILED, false, advice)
        }
        _ => {
            let advice = format!(
                "check that the store can be reached from the pod's namespace, and the endpoint, region or \
                 workload identity ({} in {FIELD})",
                uri.service.usual()
            );
            (reasons::DOWNLOAD_FAILED, true, advice)
        }
    }
}

/// The status of the store's answer. The crate keeps it to itself, but for its text.
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// What went wrong, as the store or the connection tells it.
fn explain(error: &Error) -> String {
    let text = error.to_string();
    if let Some(error) = cause::<HttpError>(error) {
        return causes(error);
    }
    let Some(status) = status(&text) else {
        return text;
    };
    match (tagged(&text, "Code"), tagged(&text, "Message")) {
        (Some(code), Some(message)) => {
            let message = message.replace("&#34;", "\"").replace("&quot;", "\"");
            format!("the store answered {status} {code}: {}", message.trim_end_matches('.'))
        }
        (Some(code), None) => format!("the store answered {status} {code}"),
        (None, _) => format!("the store answered {status}"),
    }
}

/// The text of the first XML element of a name: stores explain themselves in small documents.
fn tagged<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once("</")?;
    Some(text.trim())
}

/// The first of an error's causes that is of a type.
fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost of an error's causes says what happened; those around it repeat it.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
