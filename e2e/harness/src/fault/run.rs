//! One scenario under one plan.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use fault_proxy::{Plan, Rule};
use serde_json::Value;

use super::{
    ready::Said,
    scenario::{End, Scenario},
    state,
    world::World,
};
use crate::control_plane::ControlPlane;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Run {
    /// The story.
    pub scenario: Scenario,
    /// What goes wrong in it.
    pub plan: Plan,
    /// The seed that the plan is from.
    pub seed: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The end state, without what differs from run to run.
    pub state: BTreeMap<String, Value>,
    /// How often objects came to be.
    pub creations: BTreeMap<String, usize>,
    /// How often objects were deleted.
    pub deletions: BTreeMap<String, usize>,
    /// Applies of objects that existed: they may be repeated, for a repetition changes nothing.
    pub updates: usize,
    /// All writes.
    pub writes: Vec<String>,
    /// What a pass over everything wrote in the end.
    pub steady_writes: Vec<String>,
    /// What the status said along the way.
    pub said: Said,
    /// The faults that happened.
    pub fired: Vec<Rule>,
    /// How often the operator was killed.
    pub restarts: usize,
    /// What the operator said.
    pub log: PathBuf,
}

impl Run {
    /// The command that does this again.
    pub fn command(&self) -> String {
        let scenario = self.scenario.name();
        match self.seed {
            Some(seed) => format!("cargo xtask fault --scenario {scenario} --seed {seed}"),
            None => format!(
                "cargo xtask fault --scenario {scenario} --plan {:?}",
                self.plan.to_string()
            ),
        }
    }

    /// Plays it in a namespace of its own.
    pub async fn play(&self, plane: &ControlPlane, operator: &Path, namespace: &str) -> Result<Outcome> {
        let world = World::start(plane, operator, namespace).await?;
        let outcome = self.play_in(&world).await;
        let outcome = outcome.with_context(|| {
            let writes: Vec<_> = world.proxy.log().entries.iter().map(ToString::to_string).collect();
            format!("the writes were\n    {}", writes.join("\n    "))
        });
        drop(world);
        plane.remove_namespace(namespace).await?;
        outcome
    }

    async fn play_in(&self, world: &World<'_>) -> Result<Outcome> {
        self.scenario.set_up(world).await.context("failed before any fault")?;
        world.proxy.arm(&self.plan);
        self.scenario.play(world).await?;
        match self.scenario.end() {
            End::Serving => world.settled().await?,
            End::Nothing => world.gone().await?,
            End::NoNamespace => world.namespace_gone().await?,
        }
        world.proxy.disarm();
        let log = world.proxy.log();
        let steady_writes = world.writes_of_a_full_pass().await;
        let objects = state::objects(&world.plane.admin, &world.namespace).await?;
        Ok(Outcome {
            state: state::comparable(&objects, &world.namespace),
            creations: log.creations(),
            deletions: log.deletions(),
            updates: log.updates(),
            writes: log.entries.iter().map(ToString::to_string).collect(),
            steady_writes,
            said: world.ready().said(),
            fired: world.proxy.fired(),
            restarts: world.restarts(),
            log: world.log.clone(),
        })
    }
}

/// A model that was never anything else.
pub async fn fresh(plane: &ControlPlane, operator: &Path, namespace: &str, spec: Value) -> Result<Outcome> {
    let world = World::start(plane, operator, namespace).await?;
    world.create(spec).await?;
    world.settled().await.context("failed to create a fresh model")?;
    let objects = state::objects(&plane.admin, namespace).await?;
    let outcome = Outcome {
        state: state::comparable(&objects, namespace),
        creations: BTreeMap::new(),
        deletions: BTreeMap::new(),
        updates: 0,
        writes: Vec::new(),
        steady_writes: Vec::new(),
        said: world.ready().said(),
        fired: Vec::new(),
        restarts: 0,
        log: world.log.clone(),
    };
    drop(world);
    plane.remove_namespace(namespace).await?;
    Ok(outcome)
}
