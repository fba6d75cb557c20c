//! Adapters for tests, with values that follow from their names.

use std::path::Path;

use tempfile::TempDir;

use super::{Description, Module, Projection, module::ModuleName, module::Side, write};
use crate::{ModelConfig, weights::tests::tiny_file};

/// The formula of `reference.py`.
pub fn values(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().map(u64::from).sum::<u64>();
    let wave = |i: u64| ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5;
    (0..count as u64).map(|i| wave(i) / 2.0).collect()
}

pub fn tiny_model() -> ModelConfig {
    ModelConfig::from_header(tiny_file(&[]).header()).unwrap()
}

pub fn module(layer: usize, projection: Projection, rank: usize, model: &ModelConfig) -> Module {
    let name = ModuleName { layer, projection };
    let of = |side, width: i64| values(&name.tensor(side), width as usize * rank);
    Module {
        layer,
        projection,
        rank,
        a: of(Side::A, projection.inputs(model)),
        b: of(Side::B, projection.outputs(model)),
    }
}

pub fn description(rank: usize, alpha: f64, targets: &[Projection]) -> Description {
    Description {
        base: "tiny".into(),
        rank,
        alpha,
        rank_stabilized: false,
        dropout: 0.0,
        targets: targets.into(),
        layers: None,
        ranks: Default::default(),
        alphas: Default::default(),
    }
}

/// Writes an adapter of the tiny model, the same rank and projections in all layers.
pub fn write_tiny(directory: &Path, rank: usize, alpha: f64, targets: &[Projection]) {
    let model = tiny_model();
    let each = |layer| targets.iter().map(move |target| (layer, *target));
    let modules: Vec<_> = (0..model.layers)
        .flat_map(each)
        .map(|(layer, target)| module(layer, target, rank, &model))
        .collect();
    write(directory, &description(rank, alpha, targets), &modules).unwrap();
}

pub fn tiny(rank: usize, alpha: f64, targets: &[Projection]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write_tiny(directory.path(), rank, alpha, targets);
    directory
}
