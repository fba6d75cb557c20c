//! `atelier-data ingest`: fills one generation of a Room from all of its sources.
//!
//! ```text
//!  source -> what is known / what it has now -> rights, removals
//!                                            -> unchanged: taken over
//!                                            -> new: read in a sandbox -> cleaned, judged -> chunks -> vectors -> the gateway
//!  all sources -> what the red team looks for -> verify -> publish
//! ```
//!
//! It knows no database: the gateway takes everything, from a ServiceAccount that may `ingest` into this Room. Whenever it
//! is ended, the next one goes on with the same generation; nobody sees anything of it before it is published, but for
//! rights that are narrower and documents that are gone, which hold at once.

mod acl;
mod chunks;
mod clean;
mod found;
pub(crate) mod gateway;
mod hostile;
mod plan;
mod plant;
mod push;
mod read;
pub mod report;
mod source;
mod sources;
pub mod speed;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use artifacts::report::ReportFile;
use protocol::PrepareFailure;
use protocol::ingest::{IngestPlan, IngestReport, IngestedSource};
use protocol::rooms::ingest::{Recipe, Verified};

use self::clean::Cleaned;
use self::gateway::{Embedder, Filling, Gateway, Patience};
use self::read::Readers;
use self::report::Counts;
use self::source::Filler;
use crate::failure::{Result, disk};
use crate::memory;
use crate::readers::Programs;

/// Directory below the plan's scratch: all of it goes.
const SCRATCH: &str = "ingest";

/// Carries out a plan with the help of `programs`; what was published.
///
/// # Errors
/// When the plan makes no sense, or nothing can be published: the generation before answers on.
pub async fn ingest(plan: IngestPlan, programs: Programs, report: ReportFile) -> Result<IngestReport> {
    run(plan, programs, report, Patience::default()).await
}

async fn run(plan: IngestPlan, programs: Programs, report: ReportFile, patience: Patience) -> Result<IngestReport> {
    plan::check(&plan)?;
    let scratch = plan.scratch.join(SCRATCH);
    // What an earlier process has left is of no use.
    clear(&scratch)?;
    fs::create_dir_all(&scratch).map_err(disk("create", &scratch))?;
    let result = fill(&plan, programs, report, patience, &scratch).await;
    let cleared = clear(&scratch);
    result.and_then(|done| cleared.map(|()| done))
}

async fn fill(
    plan: &IngestPlan,
    programs: Programs,
    report: ReportFile,
    patience: Patience,
    scratch: &Path,
) -> Result<IngestReport> {
    let gateway = Gateway::new(&plan.gateway, patience)?;
    let embedder = Embedder::new(&gateway, &plan.embedding.model).await?;
    let recipe = Recipe {
        model: plan.embedding.name().to_owned(),
        digest: plan.embedding.digest.clone(),
        dimension: embedder.dimension(),
        settings: plan::settings(plan),
    };
    let filling = Filling::begin(&gateway, &plan.namespace, &plan.room, recipe).await?;
    let (generation, resumed) = (filling.generation(), filling.is_resumed());
    tracing::info!(
        generation,
        resumed,
        dimension = embedder.dimension(),
        "a generation begins"
    );
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (at_once, memory) = memory::of_documents(processors);
    let readers = Arc::new(Readers {
        programs,
        cleaned: Cleaned::new(&plan.cleaning)?,
        clean: plan.cleaning.clean,
        limits: plan.limits,
        size: plan.chunks,
        memory,
        scratch: scratch.to_owned(),
        told: AtomicBool::new(false),
    });
    let counts = Counts::new(report);
    let filler = Filler {
        filling: &filling,
        embedder: &embedder,
        readers: &readers,
        at_once,
        counts: &counts,
        dedup: plan.cleaning.dedup.exact,
    };
    let (mut sources, mut read) = (Vec::new(), BTreeMap::new());
    for (number, source) in plan.sources.iter().enumerate() {
        let directory = scratch.join(format!("source-{number}"));
        fs::create_dir_all(&directory).map_err(disk("create", &directory))?;
        counts.begin(&source.name);
        let start = Instant::now();
        let now = filler.source(source, &directory).await?;
        clear(&directory)?;
        read.extend(now.map(|now| (source.name.clone(), now)));
        sources.push(IngestedSource {
            read: now.is_some(),
            seconds: start.elapsed().as_secs(),
            ..counts.end()
        });
    }
    if let Some(room) = &plan.red_team {
        let directory = scratch.join("planted");
        fs::create_dir_all(&directory).map_err(disk("create", &directory))?;
        plant::plant(&filler, room, &plan.sources, &directory).await?;
    }
    let verified = filling.verify().await?;
    complete(&sources, &verified)?;
    filling.publish(plan.keep, read).await?;
    Ok(IngestReport {
        generation: generation.unsigned_abs(),
        documents: verified.documents,
        chunks: verified.chunks,
        quarantined: counts.reasons(),
        recall_at_10: verified.recall_at_10.map(|recall| format!("{recall:.4}")),
        sources,
    })
}

/// Refuses a generation that has fewer documents than were brought. Some may have been removed meanwhile.
fn complete(sources: &[IngestedSource], verified: &Verified) -> Result<()> {
    let brought: u64 = sources.iter().map(|source| source.documents).sum();
    if brought > 0 && verified.documents == 0 {
        let message = format!("failed to fill the Room: {brought} documents were brought, and none is there");
        return Err(PrepareFailure::new(gateway::GATEWAY_FAILED, message, true));
    }
    Ok(())
}

fn clear(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(disk("remove", directory)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
