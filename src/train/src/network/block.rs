//! One transformer block.

use engine::{ModelConfig, blocks::Layer};
use engine_sys::learn;
use tch::{Device, Kind, TchError, Tensor};

use super::{Keep, Network, Pass, Rows, Source, Weight, batch::Run};
use crate::{
    Error,
    method::{Parts, Site},
};

/// The weights of a block. What reads the same input is one matrix: fewer, larger products.
pub(crate) struct BlockWeights {
    /// `[hidden]`
    pub attention_norm: Weight,
    /// `[(heads + 2 kv_heads) head_dim, hidden]`: query, key, value
    pub qkv: Weight,
    /// `[(heads + 2 kv_heads) head_dim]`
    pub qkv_bias: Option<Weight>,
    /// `[head_dim]` each: of query heads, of key heads
    pub head_norms: Option<(Weight, Weight)>,
    /// `[hidden, heads head_dim]`
    pub attention_output: Weight,
    /// `[hidden]`
    pub feed_forward_norm: Weight,
    /// `[2 feed_forward, hidden]`: gate, up
    pub gate_up: Weight,
    /// `[hidden, feed_forward]`
    pub down: Weight,
}

impl BlockWeights {
    pub fn load(
        source: &Source<'_>,
        config: &ModelConfig,
        kind: Kind,
        index: usize,
        keep: &mut Keep<'_>,
    ) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        let width = |heads: i64| heads * config.head_dim;
        let mut weight = |name: &str, parts: &[(&str, i64)], columns: Option<i64>| -> Result<Weight, Error> {
            let matrix = columns.is_some();
            let mut tensors = Vec::with_capacity(parts.len());
            for (part, rows) in parts {
                let shape: Vec<i64> = [Some(*rows), columns].into_iter().flatten().collect();
                let part = format!("blk.{index}.{part}");
                tensors.push(source.tensor(config, &part, &shape, keep.reads(kind, matrix))?);
            }
            let whole = match &tensors[..] {
                [one] => one.shallow_clone(),
                several => Tensor::f_cat(several, 0)?,
            };
            Ok(keep.weight(&format!("blk.{index}.{name}"), whole, matrix)?)
        };
        let (queries, keys, feed_forward) = (width(config.heads), width(config.kv_heads), config.feed_forward_size);
        let one = |name: &'static str, rows| [(name, rows)];
        let qkv_bias = [("attn_q.bias", queries), ("attn_k.bias", keys), ("attn_v.bias", keys)];
        let architecture = config.architecture;
        let head_norms = match architecture.head_norm {
            true => Some((
                weight("attn_q_norm.weight", &one("attn_q_norm.weight", config.head_dim), None)?,
                weight("attn_k_norm.weight", &one("attn_k_norm.weight", config.head_dim), None)?,
            )),
            false => None,
        };
        Ok(Self {
            attention_norm: weight("attn_norm.weight", &one("attn_norm.weight", hidden), None)?,
            qkv: weight(
                "qkv.weight",
                &[
                    ("attn_q.weight", queries),
                    ("attn_k.weight", keys),
                    ("attn_v.weight", keys),
                ],
                Some(hidden),
            )?,
            qkv_bias: match architecture.qkv_bias {
                true => Some(weight("qkv.bias", &qkv_bias, None)?),
                false => None,
            },
            head_norms,
            attention_output: weight("attn_output.weight", &one("attn_output.weight", hidden), Some(queries))?,
            feed_forward_norm: weight("ffn_norm.weight", &one("ffn_norm.weight", hidden), None)?,
            gate_up: weight(
                "gate_up.weight",
                &[("ffn_gate.weight", feed_forward), ("ffn_up.weight", feed_forward)],
                Some(hidden),
            )?,
            down: weight("ffn_down.weight", &one("ffn_down.weight", hidden), Some(feed_forward))?,
        })
    }
}

/// What is added to the scores of a text of `length` tokens after `before` virtual ones, which all of them see:
/// `[length, before + length]`.
pub(super) fn mask(length: i64, before: i64, kind: Kind) -> Result<Tensor, TchError> {
    let hidden = Tensor::f_full([length, before + length], f64::NEG_INFINITY, (kind, Device::Cpu))?;
    hidden.f_triu(before + 1)
}

impl Network {
    /// The residual stream after block `index`, `[rows, hidden]`.
    pub fn block(&self, index: usize, pass: Pass<'_>, rows: &Rows, hidden: &Tensor) -> Result<Tensor, TchError> {
        let block = &self.blocks[index];
        let normed = self.norm(pass, hidden, &block.attention_norm)?;
        let attended = self.attention(index, pass, rows, &normed)?;
        let output = self.product(index, pass, Layer::AttentionOutput, &attended)?;
        let hidden = hidden.f_add(&pass.leave(index, Site::Attention, output)?)?;

        let normed = self.norm(pass, &hidden, &block.feed_forward_norm)?;
        let gate_up = self.product(index, pass, Layer::GateUp, &normed)?;
        let gated = learn::gate(&gate_up)?;
        let output = self.product(index, pass, Layer::Down, &gated)?;
        hidden.f_add(&pass.leave(index, Site::FeedForward, output)?)
    }

    /// A linear layer with what the method adds to it.
    fn product(&self, index: usize, pass: Pass<'_>, layer: Layer, input: &Tensor) -> Result<Tensor, TchError> {
        let block = &self.blocks[index];
        let (weight, bias) = match layer {
            Layer::Qkv => (&block.qkv, block.qkv_bias.as_ref()),
            Layer::AttentionOutput => (&block.attention_output, None),
            Layer::GateUp => (&block.gate_up, None),
            Layer::Down => (&block.down, None),
        };
        let bias = bias.map(|bias| bias.get(pass.parameters, self.kind)).transpose()?;
        let output = input.f_linear(&weight.get(pass.parameters, self.kind)?, bias.as_ref())?;
        match pass.parts {
            Parts::LowRank(low_rank) => low_rank.add(pass, (index, layer), input, output),
            _ => Ok(output),
        }
    }

    /// The heads' outputs beside each other, `[rows, heads head_dim]`.
    fn attention(&self, index: usize, pass: Pass<'_>, rows: &Rows, input: &Tensor) -> Result<Tensor, TchError> {
        let ModelConfig {
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.config;
        let mut qkv = self.product(index, pass, Layer::Qkv, input)?;
        if let Some((query_norm, key_norm)) = &self.blocks[index].head_norms {
            let split = qkv.f_view([-1, heads + 2 * kv_heads, head_dim])?;
            // The way back of parts lays them beside each other; that of narrowed views adds whole tensors.
            let parts = split.f_split_with_sizes([heads, kv_heads, kv_heads], 1)?;
            let [queries, keys, values] = three(parts)?;
            let queries = self.norm(pass, &queries, query_norm)?;
            let keys = self.norm(pass, &keys, key_norm)?;
            qkv = Tensor::f_cat(&[queries, keys, values], 1)?.f_view([qkv.size()[0], -1])?;
        }
        let angles = [&rows.angles.cosines, &rows.angles.sines];
        let [queries, keys, values] = learn::heads(&qkv, angles, heads, kv_heads)?;
        let lengths: Vec<i64> = rows.runs.iter().map(|run| run.texts * run.length).collect();
        let of_runs = |all: Tensor| -> Result<Vec<Tensor>, TchError> {
            let parts = match &lengths[..] {
                [_] => vec![all],
                _ => all.f_split_with_sizes(&lengths[..], 0)?,
            };
            // [texts, heads, tokens, head_dim]
            let views = parts
                .iter()
                .zip(&rows.runs)
                .map(|(part, run)| part.f_view([run.texts, run.length, heads, head_dim])?.f_transpose(1, 2));
            views.collect()
        };
        let (queries, keys, values) = (of_runs(queries)?, of_runs(keys)?, of_runs(values)?);
        let prefix = pass.parts.keys_and_values(pass.parameters, index, self)?;
        let mut outputs = Vec::with_capacity(rows.runs.len());
        for (at, (run, mask)) in rows.runs.iter().zip(&rows.masks).enumerate() {
            let (mut keys, mut values) = (keys[at].shallow_clone(), values[at].shallow_clone());
            if let Some((more_keys, more_values)) = &prefix {
                keys = before(&self.shared(more_keys)?, &keys)?;
                values = before(&self.shared(more_values)?, &values)?;
            }
            let queries = &queries[at];
            let causal = mask.is_none();
            let output = Tensor::f_scaled_dot_product_attention(
                queries,
                &keys,
                &values,
                mask.as_ref(),
                0.0,
                causal,
                None,
                false,
            )?;
            outputs.push(rows_of(&output, *run)?);
        }
        match &outputs[..] {
            [one] => Ok(one.shallow_clone()),
            several => Tensor::f_cat(several, 0),
        }
    }

    /// Keys or values of virtual tokens once for each query head. (libtorch does that by itself, many times slower.)
    fn shared(&self, heads: &Tensor) -> Result<Tensor, TchError> {
        let group = self.config.group();
        let (texts, kv_heads, tokens, width) = heads.size4()?;
        match group {
            1 => Ok(heads.shallow_clone()),
            _ => heads
                .f_unsqueeze(2)?
                .f_expand([texts, kv_heads, group, tokens, width], false)?
                .f_reshape([texts, kv_heads * group, tokens, width]),
        }
    }
}

fn three(parts: Vec<Tensor>) -> Result<[Tensor; 3], TchError> {
    let wrong = |parts: Vec<Tensor>| TchError::Shape(format!("{} parts instead of three", parts.len()));
    parts.try_into().map_err(wrong)
}

fn before(virtual_tokens: &Tensor, heads: &Tensor) -> Result<Tensor, TchError> {
    let (texts, ..) = heads.size4()?;
    let (_, each, tokens, width) = virtual_tokens.size4()?;
    let of_each = virtual_tokens.f_expand([texts, each, tokens, width], false)?;
    Tensor::f_cat(&[&of_each, heads], 2)
}

fn rows_of(output: &Tensor, run: Run) -> Result<Tensor, TchError> {
    output.f_transpose(1, 2)?.f_reshape([run.texts * run.length, -1])
}
