//! Settings of a training with every default filled in.

use api::finetunejob::{FineTuneJobSpec, LearningRateSchedule, Method, Objective, Optimizer};
use protocol::tune;

use super::number::{decimal, natural, positive};

const LORA_RANK: i32 = 16;
const BATCH_TOKENS: u64 = 8192;
const SEED: u64 = 42;

/// Settings of a training.
///
/// # Errors
/// The first field that makes no sense.
pub fn of(spec: &FineTuneJobSpec) -> Result<tune::Hyperparameters, String> {
    let given = spec.hyperparameters.clone().unwrap_or_default();
    let is_adapter = !matches!(spec.method, Method::Full | Method::Pretrain);
    let number = |name: &str, text: Option<&String>, default: f64| match text {
        Some(text) => decimal(&format!("spec.hyperparameters.{name}"), text),
        None => Ok(default),
    };
    let learning_rate = match spec.method {
        Method::Full => 2e-5,
        Method::Pretrain => 6e-4,
        _ => 2e-4,
    };
    let batch_tokens = given.batch_tokens.map_or(BATCH_TOKENS, natural);
    let sequence_length = given.sequence_length.map(natural);
    if let Some(length) = sequence_length.filter(|length| *length > batch_tokens) {
        return Err(format!(
            "spec.hyperparameters.sequenceLength {length} is more than batchTokens {batch_tokens}: a batch must hold \
             one sequence"
        ));
    }
    let rate = number("learningRate", given.learning_rate.as_ref(), learning_rate)?;
    if rate <= 0.0 {
        return Err("spec.hyperparameters.learningRate must be greater than 0".into());
    }
    Ok(tune::Hyperparameters {
        learning_rate: rate,
        schedule: match given.schedule.unwrap_or_default() {
            LearningRateSchedule::Constant => tune::Schedule::Constant,
            LearningRateSchedule::Linear => tune::Schedule::Linear,
            LearningRateSchedule::Cosine => tune::Schedule::Cosine,
            LearningRateSchedule::WarmupStableDecay => tune::Schedule::WarmupStableDecay,
        },
        warmup: warmup(given.warmup.as_deref().unwrap_or("3%"))?,
        optimizer: match given.optimizer.unwrap_or_default() {
            Optimizer::AdamW => tune::Optimizer::AdamW,
            Optimizer::SGD => tune::Optimizer::SGD,
            Optimizer::Lion => tune::Optimizer::Lion,
        },
        batch_tokens,
        sequence_length,
        packing: given.packing.unwrap_or(spec.objective == Objective::CausalLM),
        gradient_accumulation: given.gradient_accumulation.map_or(1, natural),
        epochs: given
            .epochs
            .map_or(if spec.method == Method::Pretrain { 1 } else { 3 }, natural),
        steps: given.steps.map(natural),
        weight_decay: number("weightDecay", given.weight_decay.as_ref(), 0.01)?,
        dropout: number("dropout", given.dropout.as_ref(), if is_adapter { 0.05 } else { 0.0 })?,
        clip: match &given.clip {
            Some(text) => positive("spec.hyperparameters.clip", text)?,
            None => 1.0,
        },
        lora: matches!(spec.method, Method::LoRA | Method::QLoRA).then(|| {
            let lora = given.lora.unwrap_or_default();
            let r = lora.r.unwrap_or(LORA_RANK);
            tune::LoraSettings {
                r: natural(r),
                alpha: f64::from(lora.alpha.unwrap_or(2 * r)),
                rank_stabilized: lora.rank_stabilized.unwrap_or_default(),
                targets: lora.targets,
            }
        }),
        virtual_tokens: (spec.method == Method::Prefix).then(|| given.virtual_tokens.map_or(20, natural)),
        adapter: (spec.method == Method::Adapter).then(|| tune::Adapter {
            bottleneck: given.bottleneck.map_or(64, natural),
        }),
        beta: match (spec.objective, &given.beta) {
            (Objective::DPO, Some(text)) => Some(positive("spec.hyperparameters.beta", text)?),
            (Objective::DPO, None) => Some(0.1),
            _ => None,
        },
        gradient_checkpointing: given.gradient_checkpointing.unwrap_or_default(),
        dtype: None,
        seed: given.seed.map_or(SEED, natural),
    })
}

fn warmup(text: &str) -> Result<tune::Warmup, String> {
    let field = "spec.hyperparameters.warmup";
    match text.strip_suffix('%') {
        Some(share) => Ok(tune::Warmup::Share(decimal(field, share)? / 100.0)),
        None => {
            let steps = text.parse().map_err(|_| format!("{field} {text:?} is no number"))?;
            Ok(tune::Warmup::Steps(steps))
        }
    }
}
