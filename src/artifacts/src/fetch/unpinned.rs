//! Files whose digest nobody knows before they are there: data sets that change.

use std::path::PathBuf;

use reqwest::Client;
use reqwest::header::HeaderMap;

use super::fields::Fields;
use super::part::Part;
use super::request::{self, Request};
use super::resume::{self, Start};
use super::retry::Attempts;
use super::{Error, Settings, publish, session};
use crate::digest::Digest;
use crate::source_url::SourceUrl;

/// One file to fetch as the server has it.
#[derive(Clone, Debug)]
pub(crate) struct Unpinned {
    /// Where from.
    pub url: SourceUrl,
    /// What tells it from other files: a part of another one is not continued.
    pub identity: Digest,
    /// Headers to send to the URL's own host.
    pub headers: HeaderMap,
    /// Where to; its directory is created.
    pub target: PathBuf,
    /// Where its user set it.
    pub fields: &'static Fields,
    /// Patience.
    pub settings: Settings,
}

/// Brings the file to its target; one that has its name was whole when it got it, and is not asked for again. Tells
/// bytes on disk and bytes in all as they come.
///
/// # Errors
/// When the download cannot succeed, or did not after the attempts of [`Settings`].
pub(crate) async fn fetch_unpinned(
    download: &Unpinned,
    mut on_progress: impl FnMut(u64, Option<u64>) + Send,
) -> Result<(), Error> {
    let Unpinned { target, settings, .. } = download;
    let _lock = publish::lock(target).await?;
    if target.exists() {
        return Ok(());
    }
    let mut part = Part::open(target, download.identity.to_string()).await?;
    let client = request::client(settings)?;
    let mut attempts = Attempts::new(settings);
    loop {
        let before = part.length();
        let Err(error) = attempt(download, &client, &mut part, &mut on_progress).await else {
            return part.publish(target).await;
        };
        part.flush().await?;
        let gained = part.length().saturating_sub(before);
        attempts.again(error, gained, (part.length(), part.total())).await?;
    }
}

/// Asks once for what is missing and appends what comes.
async fn attempt(
    download: &Unpinned,
    client: &Client,
    part: &mut Part,
    on_progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
) -> Result<(), Error> {
    let Unpinned {
        url,
        headers,
        fields,
        settings,
        ..
    } = download;
    // No digest will tell whether the rest belongs to the same file: its version has to.
    if part.length() > 0 && part.validator().is_none() {
        part.restart().await?;
    }
    let request = Request {
        url: url.parse().map_err(|why| Error::InvalidUrl { why, fields })?,
        headers,
        range: part.range(),
        stall: settings.stall,
    };
    let answer = request::send(client, &request).await?;
    let response = &answer.response;
    let plan = resume::plan(response.status(), response.headers(), part.length(), part.total());
    let Some(plan) = plan else {
        return Err(Error::status(answer, fields));
    };
    let is_same = plan.validator.is_none() || plan.validator.as_deref() == part.validator();
    match plan.start {
        Start::Here if is_same => part.continue_with(plan.total).await?,
        Start::Zero => {
            part.restart().await?;
            part.begin(plan.validator, plan.total).await?;
        }
        Start::Here | Start::Nowhere => {
            part.restart().await?;
            return Err(Error::RangeRefused { place: answer.place });
        }
    }
    part.check_space().await?;
    session::receive(answer.response, answer.place, part, settings.stall, on_progress).await
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{Reply, Server};

    fn download(server: &Server, dir: &tempfile::TempDir) -> Unpinned {
        let url = server.url("/data.jsonl");
        Unpinned {
            identity: Digest::of(url.as_bytes()).unwrap(),
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            target: dir.path().join("to/data.jsonl"),
            fields: &super::super::fields::HTTP,
            settings: Settings::impatient(),
        }
    }

    #[rstest]
    #[case::resumed(Some("\"one\""), "\"one\"", true)]
    #[case::changed_meanwhile(Some("\"one\""), "\"two\"", false)]
    #[case::of_unknown_version(None, "\"two\"", false)]
    #[tokio::test]
    async fn a_broken_download_goes_on_where_that_is_safe(
        #[case] first: Option<&str>,
        #[case] second: &str,
        #[case] resumes: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let content = if resumes { b"0123456789" } else { b"abcdefghij" };
        let mut broken = Reply::file(b"0123456789").cut_after(4);
        if let Some(etag) = first {
            broken = broken.etag(etag);
        }
        let server = Server::start([broken, Reply::file(content).etag(second)]).await;
        let download = download(&server, &dir);
        fetch_unpinned(&download, |_, _| {}).await.unwrap();
        assert_eq!(std::fs::read(&download.target).unwrap(), content);
        let asked = server.requests().last().unwrap().headers.contains_key("range");
        assert_eq!(asked, first.is_some());
        // What has its name is whole.
        fetch_unpinned(&download, |_, _| {}).await.unwrap();
        assert_eq!(server.requests().len(), 2);
    }

    #[rstest]
    #[case(Reply::status(404), "404")]
    #[case(Reply::status(503), "gave up")]
    #[case(Reply::file(b"0123456789").etag("\"a\"").cut_after(1), "broke off")]
    #[tokio::test]
    async fn what_does_not_come_is_told(#[case] reply: Reply, #[case] says: &str) {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start([reply]).await;
        let download = download(&server, &dir);
        let error = fetch_unpinned(&download, |_, _| {}).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(!download.target.exists());
    }
}
