//! Settings that say nothing, or nothing good, without others: what would be found after hours of work is refused
//! before it.

use api::finetunejob::{Dataset, FineTuneJobSpec, SweepAlgorithm};
use protocol::tune::Split;

/// The metric that is the validation loss.
pub const EVAL_LOSS: &str = "evalLoss";
/// Bytes of a text from the spec in the environment of a pod: Linux starts no program with a variable of 128 KiB, and
/// places and settings are beside it.
const MOST: usize = 112 << 10;

/// What does not fit together.
///
/// # Errors
/// The first such field.
pub fn check(spec: &FineTuneJobSpec, split: &Split) -> Result<(), String> {
    measured(spec, split)?;
    compared(spec, split)?;
    size(&spec.dataset)
}

/// Early stopping and the gate go by measurements.
fn measured(spec: &FineTuneJobSpec, split: &Split) -> Result<(), String> {
    let Some(evaluate) = spec.evaluate.as_ref().filter(|_| split.validation <= 0.0) else {
        return Ok(());
    };
    if evaluate.early_stopping.is_some() {
        return Err(format!(
            "spec.evaluate.earlyStopping goes by the validation loss: {NEEDED}"
        ));
    }
    if evaluate.gate.is_some() && evaluate.suites.is_empty() {
        let way = "or name a suite in spec.evaluate.suites";
        return Err(format!("spec.evaluate.gate has nothing to compare: {NEEDED}, {way}"));
    }
    Ok(())
}

const NEEDED: &str = "make spec.dataset.split.validation more than 0%";

/// Trials are compared by a metric that there is.
fn compared(spec: &FineTuneJobSpec, split: &Split) -> Result<(), String> {
    let Some(sweep) = &spec.sweep else {
        return Ok(());
    };
    let is_loss = sweep.metric == EVAL_LOSS;
    if is_loss && split.validation <= 0.0 {
        return Err(format!("spec.sweep.metric evalLoss is the validation loss: {NEEDED}"));
    }
    let suites = || spec.evaluate.iter().flat_map(|evaluate| &evaluate.suites);
    if !is_loss && !suites().any(|suite| suite.name == sweep.metric) {
        return Err(format!(
            "spec.sweep.metric {} is neither evalLoss nor the name of one of spec.evaluate.suites: name one of these",
            sweep.metric
        ));
    }
    let stops_poor = sweep.stop_poor.unwrap_or(sweep.algorithm == SweepAlgorithm::ASHA);
    if !is_loss && stops_poor {
        return Err(format!(
            "spec.sweep.stopPoor, which algorithm ASHA sets, goes by the validation loss and not by suite {}: make \
             spec.sweep.metric evalLoss, or stopPoor false",
            sweep.metric
        ));
    }
    Ok(())
}

/// Plans reach pods in an environment variable each.
fn size(dataset: &Dataset) -> Result<(), String> {
    let bytes = |text: serde_json::Result<String>| text.map_or(usize::MAX, |text| text.len());
    let template = bytes(serde_json::to_string(&dataset.template));
    let data = Dataset {
        template: None,
        ..dataset.clone()
    };
    let data = bytes(serde_json::to_string(&data));
    let fault = |field: &str, bytes: usize, way: &str| {
        Err(format!(
            "{field} has {bytes} bytes as JSON, and {MOST} reach a pod at most: {way}"
        ))
    };
    if data > MOST {
        let way = "make queries shorter, by views in the database, and descriptions";
        return fault("spec.dataset", data, way);
    }
    match template > MOST {
        true => fault("spec.dataset.template", template, "make it shorter"),
        false => Ok(()),
    }
}
