//! The tests on the real cluster.

use std::thread::available_parallelism;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::home::Home;
use crate::lock::CacheLock;
use crate::target::Target;
use crate::toolbox::{self, table};
use crate::ui::Stage;
use crate::{cargo, deploy, env, images, process, up};

/// The suite that prints figures about texts which nothing else takes.
const CORPORA: &str = "corpora";
/// The suite that prints figures of verdicts, each from hundreds of answers.
const VERDICTS: &str = "verdicts";
/// The suite that puts models behind Envoy Gateway, which is built first.
const ENVOY: &str = "envoy";
/// Cases wait more than they compute: this many at once for each core.
const CASES_PER_CORE: usize = 2;

/// Brings the local cluster up with what the checkout holds and runs the tests on it.
pub fn run(home: &Home, suite: Option<&str>, case: Option<&str>, peers: bool) -> Result<()> {
    let lock = CacheLock::take(home)?;
    let build = match (suite, peers) {
        (Some(ENVOY), _) => images::ensure_with_envoy,
        (_, true) => images::ensure_with_peers,
        (_, false) => images::ensure_all,
    };
    let images = up::local(home, build)?;
    let target = Target::new(home, None)?;
    up::chart(home, &target, &deploy::Images::local(&images)?, false)?;
    up::tools(home, |stage| toolbox::for_e2e(home, stage))?;
    if peers {
        up::tools(home, |stage| toolbox::for_peers(home, stage))?;
    }
    if suite == Some(CORPORA) {
        up::tools(home, |stage| toolbox::for_corpora(home, stage))?;
    }
    let stage = Stage::begin("plugin");
    let plugin = cargo::release(home, &stage, &["kubectl-atelier"])?;
    stage.done("kubectl-atelier is built");
    drop(lock);
    let gateway_api = toolbox::go::module("sigs.k8s.io/gateway-api", table::GATEWAY_API_VERSION)?;

    let cluster = Cluster::new(home)?;
    let cores = available_parallelism().context("failed to count cores")?.get();
    let mut test = cargo::command(home);
    test.args(["test", "--locked", "--package", "atelier-e2e", "--no-fail-fast"]);
    if let Some(suite) = suite {
        test.args(["--test", suite]);
    }
    // These run only where they are named, by themselves, and print what they find.
    let figures = [CORPORA, VERDICTS, ENVOY].map(Some).contains(&suite);
    let at_once = if figures { 1 } else { cores * CASES_PER_CORE };
    test.args(["--", &format!("--test-threads={at_once}")]);
    test.args((peers || figures).then_some("--include-ignored"));
    test.args(figures.then_some("--nocapture")).args(case);
    test.envs(env::cluster(&target)?);
    if suite == Some(ENVOY) {
        let module = toolbox::go::module(table::ENVOY_GATEWAY_MODULE, table::ENVOY_GATEWAY.version)?;
        test.env("ATELIER_ENVOY_GATEWAY_DIR", module);
    }
    test.env("ATELIER_CLUSTER_BIN", &cluster.program)
        .env("ATELIER_CLUSTER_DIR", &cluster.dir)
        .envs(plugin.first().map(|program| ("ATELIER_PLUGIN_BIN", program)));
    test.env("ATELIER_HELM_BIN", table::HELM.program(home))
        .env("ATELIER_OPENAI_PYTHONPATH", table::OPENAI.dir(home)?)
        .env("ATELIER_LANGCHAIN_PYTHONPATH", table::LANGCHAIN.dir(home)?)
        .env("ATELIER_LITELLM_PYTHONPATH", table::LITELLM.dir(home)?)
        .env("ATELIER_SCHEMATHESIS_PYTHONPATH", table::SCHEMATHESIS.dir(home)?)
        .env("ATELIER_GRPCURL_BIN", table::GRPCURL.program(home))
        .env("ATELIER_S3_BIN", table::VERSITYGW.program(home))
        .env("ATELIER_REGISTRY_BIN", table::REGISTRY.program(home))
        .env("ATELIER_GATEWAY_API_DIR", gateway_api);
    process::pass(&mut test)
}

/// Runs all of them and leaves the machine as it was: a cluster that ran before keeps running.
pub fn run_all(home: &Home) -> Result<()> {
    let ran_before = Cluster::new(home)?.is_up();
    let result = run(home, None, None, false);
    if !ran_before {
        let cluster = Cluster::new(home)?;
        let stage = Stage::begin("cluster");
        let gone = cluster.down(home, &stage);
        stage.done(if gone.is_ok() { "gone" } else { "not gone" });
        return result.and(gone);
    }
    result
}
