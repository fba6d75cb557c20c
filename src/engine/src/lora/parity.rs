//! Adapters against the `peft` library, and passes of many adapters against each alone.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rstest::rstest;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Adapter, Description, Module, Projection, module,
    module::Side,
    testing::{tiny, tiny_model, values},
    write,
};
use crate::{
    Batch, Dtype, KvCache, LogitRows, Model, ModelOptions, Ops, Segment, logprobs::floats, weights::tests::file_of,
};

const TOKENS: [u32; 11] = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9];

/// What `reference.py` found out about one adapter.
#[derive(Deserialize)]
struct Reference {
    base: String,
    config: Value,
    header: BTreeMap<String, Value>,
    logits: Vec<f32>,
}

fn reference(name: &str) -> Reference {
    let mut all: BTreeMap<String, Reference> = serde_json::from_str(include_str!("reference.json")).unwrap();
    all.remove(name).unwrap()
}

impl Reference {
    fn description(&self) -> Description {
        #[derive(Deserialize)]
        struct Config {
            r: usize,
            lora_alpha: f64,
            use_rslora: bool,
            lora_dropout: f64,
            target_modules: Vec<String>,
            layers_to_transform: Option<Vec<usize>>,
            rank_pattern: BTreeMap<String, usize>,
            alpha_pattern: BTreeMap<String, f64>,
        }
        let config: Config = serde_json::from_value(self.config.clone()).unwrap();
        Description {
            base: "base".into(),
            rank: config.r,
            alpha: config.lora_alpha,
            rank_stabilized: config.use_rslora,
            dropout: config.lora_dropout,
            targets: config
                .target_modules
                .iter()
                .map(|name| Projection::named(name).unwrap())
                .collect(),
            layers: config.layers_to_transform,
            ranks: config.rank_pattern,
            alphas: config.alpha_pattern,
        }
    }

    /// Writes the adapter that the reference was computed with.
    fn write(&self, directory: &Path) {
        let size = |tensor: &str, axis: usize| self.header[tensor]["shape"][axis].as_u64().unwrap() as usize;
        let mut modules = Vec::new();
        for name in self.header.keys().filter(|name| name.contains("lora_A")) {
            let (module, _) = module::parse(name).unwrap();
            let b = module.tensor(Side::B);
            modules.push(Module {
                layer: module.layer,
                projection: module.projection,
                rank: size(name, 0),
                a: values(name, size(name, 0) * size(name, 1)),
                b: values(&b, size(&b, 0) * size(&b, 1)),
            });
        }
        write(directory, &self.description(), &modules).unwrap();
    }
}

fn segment(page: u32, start: usize, tokens: &[u32], adapter: Option<&Arc<Adapter>>) -> Segment {
    Segment {
        pages: vec![page],
        start,
        tokens: tokens.into(),
        logits: LogitRows::Last,
        adapter: adapter.cloned(),
    }
}

fn logits(model: &Model, cache: &KvCache, segments: Vec<Segment>) -> Vec<f32> {
    let _guard = tch::no_grad_guard();
    floats(&model.forward(&Batch { segments }, cache).unwrap().unwrap()).unwrap()
}

fn alone(model: &Model, tokens: &[u32], adapter: Option<&Arc<Adapter>>) -> Vec<f32> {
    logits(model, &model.cache(1).unwrap(), vec![segment(0, 0, tokens, adapter)])
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[rstest]
#[case("llama lora r=4")]
#[case("llama rslora r=8")]
#[case("qwen2 lora r=8, other ranks and scales")]
#[case("qwen2 rslora r=4, one layer")]
fn files_and_logits_are_those_of_peft(#[case] name: &str) {
    let reference = reference(name);
    let directory = tempfile::tempdir().unwrap();
    reference.write(directory.path());

    let config = std::fs::read(directory.path().join("adapter_config.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&config).unwrap(), reference.config);
    let weights = std::fs::read(directory.path().join("adapter_model.safetensors")).unwrap();
    let size = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let header: BTreeMap<String, Value> = serde_json::from_slice(&weights[8..8 + size]).unwrap();
    assert_eq!(header, reference.header);

    let model = Model::load(
        &file_of(&reference.base, &[]),
        &ModelOptions::plain(Dtype::Fp32, Ops::Own, 64),
    )
    .unwrap();
    let adapter = Arc::new(Adapter::load(directory.path(), model.config(), Dtype::Fp32).unwrap());
    let ours = alone(&model, &TOKENS, Some(&adapter));
    let to_reference = difference(&ours, &reference.logits);
    assert!(to_reference <= 1e-4, "{name}: {to_reference}");
    assert!(
        difference(&ours, &alone(&model, &TOKENS, None)) > 0.1,
        "the adapter changes nothing"
    );
}

#[rstest]
#[case(Dtype::Fp32, 1e-4)]
#[case(Dtype::Bf16, 0.05)]
fn adapters_of_one_pass_do_not_touch_each_other(#[case] dtype: Dtype, #[case] close: f32) {
    let model = Model::load(&file_of("llama", &[]), &ModelOptions::plain(dtype, Ops::Own, 64)).unwrap();
    let load = |rank, targets: &[Projection]| {
        let directory = tiny(rank, 8.0, targets);
        Arc::new(Adapter::load(directory.path(), model.config(), dtype).unwrap())
    };
    let small = load(2, &[Projection::Key, Projection::Up, Projection::Down]);
    let large = load(8, &Projection::ALL);
    let cache = model.cache(6).unwrap();
    logits(&model, &cache, vec![segment(2, 0, &TOKENS[..10], Some(&small))]);
    // The small adapter's rows have others between them, the large one's are neighbours; one of its
    // sequences goes on, the others begin.
    let plan = [
        (0, 0, &TOKENS[..5], Some(&small)),
        (1, 0, &TOKENS[2..], None),
        (2, 10, &TOKENS[10..], Some(&small)),
        (3, 0, &TOKENS[..7], Some(&large)),
        (4, 0, &TOKENS[4..], Some(&large)),
        (5, 0, &TOKENS[..1], None),
    ];
    let together = logits(
        &model,
        &cache,
        plan.iter()
            .map(|(page, start, tokens, adapter)| segment(*page, *start, tokens, *adapter))
            .collect(),
    );
    let vocabulary = model.config().vocabulary_size as usize;
    for ((page, start, tokens, adapter), row) in plan.iter().zip(together.chunks(vocabulary)) {
        let whole = [&TOKENS[..*start], tokens].concat();
        let alone = alone(&model, &whole, *adapter);
        assert!(
            difference(row, &alone) < close,
            "page {page}: {}",
            difference(row, &alone)
        );
    }
    let bare = |adapter| alone(&model, &TOKENS, adapter);
    assert!(difference(&bare(Some(&small)), &bare(Some(&large))) > 0.1);
    assert!(difference(&bare(Some(&small)), &bare(None)) > 0.1);
}

#[test]
fn half_precision_is_close() {
    let logits = |dtype| {
        let model = Model::load(&file_of("llama", &[]), &ModelOptions::plain(dtype, Ops::Own, 64)).unwrap();
        let directory = tiny(4, 8.0, &Projection::ALL);
        let adapter = Adapter::load(directory.path(), &tiny_model(), dtype).unwrap();
        alone(&model, &TOKENS, Some(&Arc::new(adapter)))
    };
    let (exact, rounded) = (logits(Dtype::Fp32), logits(Dtype::Bf16));
    assert!(difference(&exact, &rounded) < 0.1, "{}", difference(&exact, &rounded));
}

/// Writes the adapters of all references for `check_written.py`, with the logits that we compute.
#[test]
#[ignore = "writes to the directory in ATELIER_LORA_OUT, for a check by hand"]
fn write_for_peft() {
    let out = std::path::PathBuf::from(std::env::var_os("ATELIER_LORA_OUT").unwrap());
    let names: BTreeMap<String, Value> = serde_json::from_str(include_str!("reference.json")).unwrap();
    for (index, name) in names.keys().enumerate() {
        let reference = reference(name);
        let directory = out.join(index.to_string());
        std::fs::create_dir_all(&directory).unwrap();
        reference.write(&directory);
        let model = Model::load(
            &file_of(&reference.base, &[]),
            &ModelOptions::plain(Dtype::Fp32, Ops::Own, 64),
        )
        .unwrap();
        let adapter = Arc::new(Adapter::load(&directory, model.config(), Dtype::Fp32).unwrap());
        let ours = serde_json::json!({"base": reference.base, "logits": alone(&model, &TOKENS, Some(&adapter))});
        std::fs::write(directory.join("logits.json"), ours.to_string()).unwrap();
    }
}
