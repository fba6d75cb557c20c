//! From a plan and a base to a network with what is trained beside it. What cannot be trained so is refused here.

use checkpoint::Checkpoint;
use engine::ModelConfig;
use protocol::tune::{Method, Objective, TrainPlan};
use tch::Kind;

use crate::{
    Error,
    method::{Bottleneck, LowRank, Parts, Prefix},
    network::{Keep, Network, Source, config_of},
    parameters::Parameters,
};

/// How strongly answers are kept near the base's when the plan does not say (Rafailov et al. 2023).
const BETA: f64 = 0.1;

/// Everything that computes.
pub(crate) struct Setup {
    pub network: Network,
    pub parameters: Parameters,
    pub parts: Parts,
}

/// Builds what the plan asks for.
pub(crate) fn setup(base: &Checkpoint, plan: &TrainPlan) -> Result<Setup, Error> {
    check(plan)?;
    let mut parameters = Parameters::default();
    let network = match plan.method {
        Method::Full | Method::Pretrain => network(base, plan, &mut Keep::Trained(&mut parameters))?,
        Method::QLoRA => network(base, plan, &mut Keep::FourBits)?,
        Method::LoRA | Method::Adapter | Method::Prefix => network(base, plan, &mut Keep::Frozen)?,
    };
    let config = &network.config;
    let settings = &plan.hyperparameters;
    let parts = match plan.method {
        Method::Full | Method::Pretrain => Parts::None,
        Method::LoRA | Method::QLoRA => {
            let lora = settings.lora.as_ref();
            let lora = lora.ok_or_else(|| Error::plan("lora", "the methods LoRA and QLoRA need it"))?;
            Parts::LowRank(LowRank::new(lora, config, settings.seed, &mut parameters)?)
        }
        Method::Adapter => {
            let adapter = settings.adapter.as_ref();
            let adapter = adapter.ok_or_else(|| Error::plan("adapter", "the method Adapter needs it"))?;
            Parts::Bottleneck(Bottleneck::new(
                adapter.bottleneck,
                config,
                settings.seed,
                &mut parameters,
            )?)
        }
        Method::Prefix => Parts::Prefix(Prefix::new(
            settings.virtual_tokens,
            config,
            settings.seed,
            &mut parameters,
        )?),
    };
    engine_sys::release_memory();
    Ok(Setup {
        network,
        parameters,
        parts,
    })
}

/// The base as it was before the training, frozen; for a new model, what it began with.
pub(crate) fn frozen(base: &Checkpoint, plan: &TrainPlan) -> Result<Network, Error> {
    network(base, plan, &mut Keep::Frozen)
}

fn network(base: &Checkpoint, plan: &TrainPlan, keep: &mut Keep<'_>) -> Result<Network, Error> {
    let kind = kind(plan)?;
    let config = ModelConfig::from_header(base.header())?;
    if plan.method != Method::Pretrain {
        let tied = base.header().tensor("output.weight").is_err();
        return Network::load(&Source::Files(base), config, kind, tied, keep);
    }
    let architecture = plan.architecture.as_ref();
    let architecture = architecture.ok_or_else(|| Error::plan("architecture", "the method Pretrain needs it"))?;
    let config = config_of(architecture, config.vocabulary_size)?;
    let source = Source::Seed(plan.hyperparameters.seed);
    Network::load(&source, config, kind, architecture.tie_embeddings, keep)
}

/// What products of a plan are computed in on this processor, as plans say it: `bf16` or `fp32`.
///
/// # Errors
/// When the plan asks for something else.
pub fn dtype(plan: &TrainPlan) -> Result<&'static str, Error> {
    Ok(match kind(plan)? {
        Kind::BFloat16 => "bf16",
        _ => "fp32",
    })
}

/// What the processor can do, as far as kernels are chosen by it: `avx512_bf16 amx_bf16`.
pub fn processor() -> String {
    engine_sys::cpu_features()
}

/// What products are computed in: bfloat16 where the processor multiplies it, unless the plan says otherwise.
pub(crate) fn kind(plan: &TrainPlan) -> Result<Kind, Error> {
    match plan.hyperparameters.dtype.as_deref() {
        Some("bf16") => Ok(Kind::BFloat16),
        Some("fp32") => Ok(Kind::Float),
        None if engine_sys::has_bf16_products() => Ok(Kind::BFloat16),
        None => Ok(Kind::Float),
        Some(other) => Err(Error::plan("dtype", format!("is {other:?}, expected bf16 or fp32"))),
    }
}

/// How strongly answers are kept near the base's.
pub(crate) fn beta(plan: &TrainPlan) -> f64 {
    plan.hyperparameters.beta.unwrap_or(BETA)
}

fn check(plan: &TrainPlan) -> Result<(), Error> {
    let settings = &plan.hyperparameters;
    let zero_or_more = |field, value: f64| match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => Err(Error::plan(field, format!("is {value}, expected a number from 0"))),
    };
    zero_or_more("learningRate", settings.learning_rate)?;
    zero_or_more("weightDecay", settings.weight_decay)?;
    zero_or_more("clip", settings.clip)?;
    if !(0.0..1.0).contains(&settings.dropout) {
        let why = format!("is {}, expected a number from 0 to less than 1", settings.dropout);
        return Err(Error::plan("dropout", why));
    }
    let beta = beta(plan);
    if plan.objective == Objective::DPO && !(beta.is_finite() && beta > 0.0) {
        return Err(Error::plan("beta", format!("is {beta}, expected a number above 0")));
    }
    if plan.objective == Objective::DPO && plan.method == Method::Pretrain {
        let why = "DPO compares with a base, and Pretrain has none: use CausalLM first";
        return Err(Error::plan("objective", why));
    }
    Ok(())
}
