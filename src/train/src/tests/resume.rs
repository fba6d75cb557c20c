//! A training that goes on from a saved state ends as one that never ended.

use std::{collections::BTreeMap, path::Path};

use protocol::tune::{Method, Optimizer};
use rstest::rstest;

use crate::{
    Trainer,
    testing::{plan, run, trainer},
};

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    named.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

fn saved(trainer: &Trainer) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    trainer.save(directory.path()).unwrap();
    directory
}

fn output(trainer: &Trainer) -> BTreeMap<String, Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    trainer.write_output(directory.path(), "base").unwrap();
    files(directory.path())
}

#[rstest]
#[case(Method::LoRA, Optimizer::AdamW)]
#[case(Method::QLoRA, Optimizer::AdamW)]
#[case(Method::Full, Optimizer::AdamW)]
#[case(Method::Adapter, Optimizer::SGD)]
#[case(Method::Prefix, Optimizer::AdamW)]
#[case(Method::Pretrain, Optimizer::Lion)]
fn a_pause_changes_no_byte(
    #[case] method: Method,
    #[case] optimizer: Optimizer,
    #[values("fp32", "bf16")] dtype: &str,
) {
    let mut plan = plan(method);
    plan.hyperparameters.optimizer = optimizer;
    plan.hyperparameters.dropout = 0.1;
    plan.hyperparameters.dtype = Some(dtype.into());
    let mut whole = trainer(&plan);
    run(&mut whole, 0..6);

    let mut first = trainer(&plan);
    run(&mut first, 0..3);
    let pause = saved(&first);
    assert_eq!(files(pause.path()), files(saved(&first).path()), "equal states differ");
    drop(first);
    let mut second = trainer(&plan);
    second.load(pause.path()).unwrap();
    assert_eq!(second.step_number(), 3);
    run(&mut second, 3..6);
    assert_eq!(files(saved(&second).path()), files(saved(&whole).path()));
    assert_eq!(output(&second), output(&whole));
}

#[test]
fn states_of_other_trainings_are_refused_by_name() {
    let original = plan(Method::LoRA);
    let pause = saved(&trainer(&original));
    let mut other = original.clone();
    other.hyperparameters.seed += 1;
    let error = trainer(&other).load(pause.path()).unwrap_err().to_string();
    assert!(
        error.contains("hyperparameters.seed is 17 there and 18 here"),
        "{error}"
    );
    let error = trainer(&plan(Method::Full)).load(pause.path()).unwrap_err().to_string();
    assert!(error.contains("method"), "{error}");
    std::fs::remove_file(pause.path().join("state.safetensors")).unwrap();
    let error = trainer(&original).load(pause.path()).unwrap_err().to_string();
    assert!(error.contains("state.safetensors"), "{error}");
    let nowhere = tempfile::tempdir().unwrap();
    assert!(trainer(&original).load(nowhere.path()).is_err());
}
