//! What `/metrics` tells of a training.
//!
//! `atelier_train_step`, `_total_steps`, `_epoch`, `_loss`, `_eval_loss`, `_learning_rate`, `_gradient_norm`,
//! `_tokens_total`, `_tokens_per_second`, `_checkpoint_step`, `_checkpoint_seconds`, `_memory_bytes`; all with the
//! label `run`.

use prometheus::{Counter, Gauge, Opts, Registry, core::Collector};

/// Gauges of one training.
pub struct Metrics {
    /// Changes of the weights so far.
    pub step: Gauge,
    /// Changes of the weights in all.
    pub total_steps: Gauge,
    /// How often all data were seen.
    pub epoch: Gauge,
    /// Loss of the last step.
    pub loss: Gauge,
    /// Last loss on the validation part.
    pub eval_loss: Gauge,
    /// Learning rate of the last step.
    pub learning_rate: Gauge,
    /// Norm of the last gradient, before it was clipped.
    pub gradient_norm: Gauge,
    /// Tokens of input of this attempt.
    pub tokens: Counter,
    /// The same each second, of late.
    pub tokens_per_second: Gauge,
    /// Step of the last checkpoint.
    pub checkpoint_step: Gauge,
    /// Seconds that it took.
    pub checkpoint_seconds: Gauge,
    /// Resident memory.
    pub memory: Gauge,
}

impl Metrics {
    /// Registers the metrics of a run.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn new(registry: &Registry, run: &str) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(format!("atelier_train_{name}"), help).const_label("run", run);
        let gauge = |name: &str, help: &str| registered(registry, Gauge::with_opts(opts(name, help))?);
        Ok(Self {
            step: gauge("step", "Changes of the weights so far.")?,
            total_steps: gauge("total_steps", "Changes of the weights in all.")?,
            epoch: gauge("epoch", "How often all data were seen.")?,
            loss: gauge("loss", "Loss of the last step.")?,
            eval_loss: gauge("eval_loss", "Last loss on the validation part.")?,
            learning_rate: gauge("learning_rate", "Learning rate of the last step.")?,
            gradient_norm: gauge("gradient_norm", "Norm of the last gradient, before it was clipped.")?,
            tokens: registered(
                registry,
                Counter::with_opts(opts("tokens_total", "Tokens of input of this attempt."))?,
            )?,
            tokens_per_second: gauge("tokens_per_second", "Tokens of input each second, of late.")?,
            checkpoint_step: gauge("checkpoint_step", "Step of the last checkpoint.")?,
            checkpoint_seconds: gauge("checkpoint_seconds", "Seconds that the last checkpoint took.")?,
            memory: gauge("memory_bytes", "Resident memory.")?,
        })
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
