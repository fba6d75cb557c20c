//! The linear layers of a block: as adapters name them, and as the engine computes them.

use std::fmt;

use crate::ModelConfig;

/// A linear layer that an adapter may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Queries of the attention.
    Query,
    /// Keys of the attention.
    Key,
    /// Values of the attention.
    Value,
    /// What the attention gives back to the residual stream.
    Output,
    /// The gate of the feed-forward layer.
    Gate,
    /// What the gate is multiplied with.
    Up,
    /// What the feed-forward layer gives back to the residual stream.
    Down,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// Its name in `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The projection with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|projection| projection.name() == name)
    }

    /// The part of a block that it belongs to.
    pub(crate) fn parent(self) -> &'static str {
        match self {
            Self::Query | Self::Key | Self::Value | Self::Output => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        }
    }

    /// Values that it takes for each token.
    pub fn inputs(self, model: &ModelConfig) -> i64 {
        match self {
            Self::Query | Self::Key | Self::Value | Self::Gate | Self::Up => model.hidden_size,
            Self::Output => model.heads * model.head_dim,
            Self::Down => model.feed_forward_size,
        }
    }

    /// Values that it gives for each token.
    pub fn outputs(self, model: &ModelConfig) -> i64 {
        match self {
            Self::Query => model.heads * model.head_dim,
            Self::Key | Self::Value => model.kv_heads * model.head_dim,
            Self::Output | Self::Down => model.hidden_size,
            Self::Gate | Self::Up => model.feed_forward_size,
        }
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A matrix product of the engine, which computes what reads the same input at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    QueryKeyValue,
    AttentionOutput,
    GateUp,
    Down,
}

impl Product {
    pub const ALL: [Self; 4] = [Self::QueryKeyValue, Self::AttentionOutput, Self::GateUp, Self::Down];

    /// Values that it takes for each token.
    pub fn inputs(self, model: &ModelConfig) -> i64 {
        self.parts()[0].inputs(model)
    }

    /// What its outputs are, in order.
    pub fn parts(self) -> &'static [Projection] {
        match self {
            Self::QueryKeyValue => &[Projection::Query, Projection::Key, Projection::Value],
            Self::AttentionOutput => &[Projection::Output],
            Self::GateUp => &[Projection::Gate, Projection::Up],
            Self::Down => &[Projection::Down],
        }
    }
}
