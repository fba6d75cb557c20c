//! `cargo xtask up`: each step is skipped or short where its result is there already.

use anyhow::Result;

use crate::cli::Up;
use crate::cluster::Cluster;
use crate::home::Home;
use crate::images::{self, Image};
use crate::lock::CacheLock;
use crate::target::Target;
use crate::ui::{self, Stage};
use crate::{demo, deploy, quickstart, toolbox};

/// Brings everything up and asks the quickstart's model a question.
pub fn run(home: &Home, options: &Up) -> Result<()> {
    let lock = CacheLock::take(home)?;
    let target = Target::new(home, options.context.as_deref())?;
    let images = match (&target, &options.registry, &options.tag) {
        (Target::Context(_), Some(registry), Some(tag)) => {
            tools(home, |stage| toolbox::for_chart(home, stage))?;
            deploy::Images::remote(registry, tag)
        }
        _ if options.rooms => deploy::Images::local(&local(home, images::ensure_with_rooms)?)?,
        _ => deploy::Images::local(&local(home, images::ensure)?)?,
    };
    chart(home, &target, &images, options.rooms)?;
    let stage = Stage::begin("model");
    let model = quickstart::ensure(home, &stage, &target, &images)?;
    stage.done(&format!("{} is ready", model.address()));
    drop(lock);

    if !options.no_ask {
        quickstart::ask(&target, &model)?;
    }
    ui::say(&next_steps(&target, &model)?);
    Ok(())
}

/// Ends the local cluster.
pub fn down(home: &Home) -> Result<()> {
    let _lock = CacheLock::take(home)?;
    let cluster = Cluster::new(home)?;
    if !cluster.was_started() {
        ui::say("there is no local cluster");
        return Ok(());
    }
    let stage = Stage::begin("cluster");
    cluster.down(home, &stage)?;
    stage.done("gone");
    Ok(())
}

/// The local cluster running with images of this checkout in it, which `build` returns.
pub fn local(home: &Home, build: fn(&Home, &Stage) -> Result<Vec<Image>>) -> Result<Vec<Image>> {
    tools(home, |stage| {
        toolbox::for_cluster(home, stage)?;
        toolbox::for_build(home, stage)?;
        toolbox::for_images(home, stage)?;
        toolbox::for_chart(home, stage)
    })?;
    let cluster = Cluster::new(home)?;
    let stage = Stage::begin("cluster");
    cluster.up(home, &stage)?;
    stage.done("runs");

    let stage = Stage::begin("images");
    let images = build(home, &stage)?;
    cluster.import(&stage, &images)?;
    stage.done("in the cluster");
    Ok(images)
}

/// The chart installed, with its database where that is wanted, and an identity that may ask models.
pub fn chart(home: &Home, target: &Target, images: &deploy::Images, database: bool) -> Result<()> {
    let stage = Stage::begin("chart");
    deploy::ensure(home, &stage, target, images, database)?;
    demo::ensure(target)?;
    stage.done("operator and gateway run");
    Ok(())
}

/// A step that only looks for tools and installs the missing ones.
pub fn tools(home: &Home, ensure: impl FnOnce(&Stage) -> Result<()>) -> Result<()> {
    let stage = Stage::begin("tools");
    ensure(&stage)?;
    stage.done(&format!("all there, in {}", home.cache.display()));
    Ok(())
}

fn next_steps(target: &Target, model: &quickstart::Model) -> Result<String> {
    let address = model.address();
    Ok(match target {
        Target::Local(_) => format!(
            "The OpenAI-compatible API is at {}/v1; the model is {address}.\n\n\
             Try next:\n  \
             cargo xtask ask \"Write a haiku about the sea.\"\n  \
             cargo xtask kubectl get llm,pods\n  \
             eval \"$(cargo xtask env)\" && curl -H \"Authorization: Bearer $ATELIER_TOKEN\" $ATELIER_URL/v1/models\n  \
             cargo xtask logs operator --follow\n  \
             cargo xtask down",
            target.gateway()?.url()
        ),
        Target::Context(name) => format!(
            "The model is {address}. Reach the OpenAI-compatible API from here by\n  \
             kubectl --context {name} port-forward --namespace atelier-system service/atelier-gateway 8080:80\n\
             and ask by\n  \
             cargo xtask ask --context {name} \"Write a haiku about the sea.\""
        ),
    })
}
