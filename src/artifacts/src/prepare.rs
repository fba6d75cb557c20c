//! `atelier-worker prepare`: brings the weights to their place, verifies and understands them.

mod args;

use std::path::{Path, PathBuf};

use protocol::report::reasons;
use protocol::{PrepareFailure, PrepareOutcome, PrepareReport, paths};

use crate::cache::Cache;
use crate::digest::Digest;
use crate::fetch::{self, Download};
use crate::hub::Hub;
use crate::oci::Oci;
use crate::report::ReportFile;
use crate::select::What;
use crate::source_url::SourceUrl;
use crate::store::Store;
use crate::{digest, facts, headers, locate};

pub use args::Args;

/// Name of a downloaded file in the directory of `--to`.
pub const WEIGHTS_FILE: &str = "model.gguf";

/// Weights that are where they should be, and are what they should be.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The weights file.
    pub path: PathBuf,
    /// What it is.
    pub report: PrepareReport,
}

/// Prepares the weights, writes a [`PrepareOutcome`] to the report file and a line to the log.
///
/// Returns the process's exit code: 0, or [`protocol::report::EXIT_PERMANENT`] or
/// [`protocol::report::EXIT_TEMPORARY`].
pub async fn run(args: Args) -> i32 {
    run_then(args, |prepared, _| Ok(prepared.report)).await
}

/// The same, with more to do once the weights are there: `next` makes the report of them into that of
/// its own result, on a thread where it may take its time.
pub async fn run_then(
    args: Args,
    next: impl FnOnce(Prepared, &ReportFile) -> Result<PrepareReport, PrepareFailure> + Send + 'static,
) -> i32 {
    let report_file = ReportFile::new(args.report.clone());
    let result = match prepare(args, &report_file).await {
        Ok(prepared) => {
            let report_file = report_file.clone();
            blocking(move || next(prepared, &report_file)).await
        }
        Err(failure) => Err(failure),
    };
    finish(&report_file, result)
}

/// Reports a failure that is known before anything was fetched; returns the process's exit code.
pub fn refuse(args: Args, failure: PrepareFailure) -> i32 {
    finish(&ReportFile::new(args.report), Err(failure))
}

fn finish(report_file: &ReportFile, result: Result<PrepareReport, PrepareFailure>) -> i32 {
    let (outcome, code) = match result {
        Ok(report) => {
            let PrepareReport {
                file,
                bytes,
                digest,
                model,
                ..
            } = &report;
            tracing::info!(
                "prepared {file}: {} with {} parameters in {}, {bytes} bytes, {digest}",
                model.architecture,
                model.parameters,
                model.quantization
            );
            (PrepareOutcome::Ready(report), 0)
        }
        Err(failure) => {
            tracing::error!(
                reason = failure.reason,
                retryable = failure.retryable,
                "{}",
                failure.message
            );
            let code = failure.exit_code();
            (PrepareOutcome::Failed(failure), code)
        }
    };
    report_file.write(&outcome);
    code
}

async fn prepare(args: Args, report_file: &ReportFile) -> Result<Prepared, PrepareFailure> {
    let (Some(size), Some(dir)) = (args.cache_size, &args.to) else {
        return fetch_or_find(args, report_file).await;
    };
    let cache = Cache { dir: dir.clone(), size };
    let work = |to| {
        let args = Args {
            to: Some(to),
            ..args.clone()
        };
        fetch_or_find(args, report_file)
    };
    // What a tag stands for has to be told, whoever has the files already.
    let expected = args.sha256.filter(|_| args.oci.is_none() || args.oci_digest.is_some());
    let mut prepared = cache.obtain(expected, &args.key(), report_file, work).await?;
    if args.url.is_some() {
        // What was found may have come from another source.
        prepared.report.file = WEIGHTS_FILE.into();
        prepared.report.revision = None;
    }
    Ok(prepared)
}

async fn fetch_or_find(args: Args, report_file: &ReportFile) -> Result<Prepared, PrepareFailure> {
    match args {
        Args {
            hugging_face: Some(repo),
            to: Some(to),
            ..
        } => {
            let hub = Hub {
                endpoint: args.endpoint,
                repo,
                revision: args.revision,
                files: args.files,
                what: What::Model,
                token_file: args.token_file,
                settings: fetch::Settings::default(),
            };
            repository(&hub, args.sha256, to, report_file).await
        }
        Args {
            object_store: Some(uri),
            to: Some(to),
            ..
        } => {
            let store = Store {
                uri: uri.parse()?,
                what: What::Model,
                version: args.object_version,
                credentials: args.credentials_dir,
                settings: fetch::Settings::default(),
            };
            objects(&store, args.sha256, to, report_file).await
        }
        Args {
            oci: Some(image),
            to: Some(to),
            ..
        } => {
            let oci = Oci {
                image,
                digest: args.oci_digest,
                files: args.files,
                what: What::Model,
                credentials: args.registry_credentials.into_iter().collect(),
                plain_http: args.plain_http,
                settings: fetch::Settings::default(),
            };
            artifact(&oci, args.sha256, to, report_file).await
        }
        Args {
            url: Some(url),
            sha256: Some(sha256),
            to: Some(to),
            ..
        } => download(&url, sha256, args.headers_file.as_deref(), &to, report_file).await,
        Args {
            path: Some(path),
            sha256,
            ..
        } => blocking(move || mounted(&path, Path::new(paths::MODEL_DIR), sha256)).await,
        _ => Err(PrepareFailure::new(
            reasons::INTERNAL,
            "failed to read the arguments: give --url, --sha256 and --to, --hugging-face and --to, --object-store and --to, --oci and --to, or --path",
            false,
        )),
    }
}

async fn repository(
    hub: &Hub,
    sha256: Option<Digest>,
    to: PathBuf,
    report_file: &ReportFile,
) -> Result<Prepared, PrepareFailure> {
    let fetched = hub.fetch(&to, report_file.progress()).await?;
    let mut prepared = blocking(move || mounted(&fetched.path, &to, sha256)).await?;
    prepared.report.revision = Some(fetched.commit);
    Ok(prepared)
}

async fn objects(
    store: &Store,
    sha256: Option<Digest>,
    to: PathBuf,
    report_file: &ReportFile,
) -> Result<Prepared, PrepareFailure> {
    let fetched = store.fetch(&to, report_file.progress()).await?;
    let mut prepared = blocking(move || mounted(&fetched.path, &to, sha256)).await?;
    prepared.report.revision = fetched.version;
    Ok(prepared)
}

async fn artifact(
    oci: &Oci,
    sha256: Option<Digest>,
    to: PathBuf,
    report_file: &ReportFile,
) -> Result<Prepared, PrepareFailure> {
    let fetched = oci.fetch(&to, report_file.progress()).await?;
    let mut prepared = blocking(move || mounted(&fetched.path, &to, sha256)).await?;
    prepared.report.revision = Some(fetched.digest);
    Ok(prepared)
}

async fn download(
    url: &SourceUrl,
    sha256: Digest,
    headers_dir: Option<&Path>,
    to: &Path,
    report_file: &ReportFile,
) -> Result<Prepared, PrepareFailure> {
    let headers = headers_dir.map(headers::read).transpose()?.unwrap_or_default();
    let target = to.join(WEIGHTS_FILE);
    let download = Download {
        url: url.clone(),
        sha256,
        headers,
        target: target.clone(),
        fields: &fetch::fields::HTTP,
        settings: fetch::Settings::default(),
    };
    fetch::fetch(&download, report_file.progress()).await?;
    blocking(move || {
        let (model, bytes) = facts::of_path(&target)?;
        let inside = target.strip_prefix(paths::MODEL_DIR);
        let file = inside.unwrap_or(Path::new(WEIGHTS_FILE)).to_string_lossy().into_owned();
        let report = PrepareReport {
            digest: sha256.prefixed(),
            bytes,
            file,
            revision: None,
            model,
            compression: None,
        };
        Ok(Prepared { path: target, report })
    })
    .await
}

/// The model at `path` of a source that lies at `root`.
fn mounted(path: &Path, root: &Path, sha256: Option<Digest>) -> Result<Prepared, PrepareFailure> {
    let located = locate::locate(path, root)?;
    // The header first: it tells within milliseconds what reading the whole file may not.
    let (model, bytes) = facts::of_path(&located.path)?;
    let digest = match sha256 {
        Some(expected) => digest::verify(&located.path, &expected.prefixed())?,
        None => Digest::of_model(&located.path)?.prefixed(),
    };
    let report = PrepareReport {
        digest,
        bytes,
        file: located.file,
        revision: None,
        model,
        compression: None,
    };
    Ok(Prepared {
        path: located.path,
        report,
    })
}

/// Runs what reads whole files where it holds up nothing else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PrepareFailure> + Send + 'static,
) -> Result<T, PrepareFailure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let message = format!("failed to work on the weights file: {error}");
        Err(PrepareFailure::new(reasons::INTERNAL, message, true))
    })
}

#[cfg(test)]
mod tests;
