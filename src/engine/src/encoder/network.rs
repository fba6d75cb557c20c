//! The network: tokens in, one row of numbers for each text out.

use checkpoint::Checkpoint;
use tch::{Device, Kind, TchError, Tensor};

use super::{
    Encoded, EncoderConfig,
    batch::{Batch, Run},
    weights::{Block, Weights},
};
use crate::LoadError;

/// An encoder with its weights.
pub(super) struct Network {
    config: EncoderConfig,
    weights: Weights,
}

impl Network {
    /// Loads the weights in single precision.
    ///
    /// # Errors
    /// When the file lacks something.
    pub fn load(file: &Checkpoint, config: EncoderConfig) -> Result<Self, LoadError> {
        Ok(Self {
            weights: Weights::load(file, &config)?,
            config,
        })
    }

    /// The same network with its linear layers in bf16.
    ///
    /// # Errors
    /// When libtorch cannot reserve the memory.
    pub fn to_bf16(&self) -> Result<Self, TchError> {
        Ok(Self {
            weights: self.weights.to_kind(Kind::BFloat16)?,
            config: self.config.clone(),
        })
    }

    /// For each text its pooled vector, not normalized, or of a cross-encoder its logit. Texts must
    /// not be empty and no longer than the context.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn forward(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, TchError> {
        let (batch, order) = Batch::new(texts);
        let runs = batch.runs();
        let hidden = self.hidden(&batch, &runs)?;
        let mut rows = Vec::with_capacity(runs.len());
        for run in &runs {
            let shape = [run.texts, run.length, self.config.hidden_size];
            let of_run = hidden.f_narrow(0, run.first, run.texts * run.length)?.f_view(shape)?;
            rows.push(match &self.weights.classifier {
                Some(classifier) => {
                    let pooled = classifier.pooler.forward(&of_run.f_select(1, 0)?)?.f_tanh()?;
                    classifier.output.forward(&pooled)?
                }
                None => self.config.pooling.apply(&of_run)?,
            });
        }
        let rows = Tensor::f_cat(&rows, 0)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let (count, width) = rows.size2()?;
        let mut numbers = vec![0f32; (count * width) as usize];
        let length = numbers.len();
        rows.f_copy_data(&mut numbers, length)?;
        let mut sorted = vec![Vec::new(); texts.len()];
        for (row, place) in numbers.chunks_exact(width as usize).zip(order) {
            sorted[place] = row.to_vec();
        }
        Ok(sorted)
    }

    /// The hidden state of all rows after the last block, `[rows, hidden]`, in single precision.
    fn hidden(&self, batch: &Batch<'_>, runs: &[Run]) -> Result<Tensor, TchError> {
        let weights = &self.weights;
        let [tokens, positions, types] = batch.inputs();
        let look_up = |table: &Tensor, rows: &[i64]| table.f_index_select(0, &Tensor::f_from_slice(rows)?);
        let summed = look_up(&weights.tokens, &tokens)?
            .f_add(&look_up(&weights.types, &types)?)?
            .f_add(&look_up(&weights.positions, &positions)?)?;
        let mut hidden = weights.norm.forward(&summed)?;
        for block in &weights.blocks {
            hidden = self.block(block, &hidden, runs)?;
        }
        Ok(hidden)
    }

    fn block(&self, block: &Block, hidden: &Tensor, runs: &[Run]) -> Result<Tensor, TchError> {
        let attended = self.attention(&block.qkv.forward(hidden)?, runs)?;
        // The sum is in single precision, whatever the layers compute in.
        let sum = hidden.f_add(&block.attention_output.forward(&attended)?)?;
        let hidden = block.attention_norm.forward(&sum)?;
        let wide = block.up.forward(&hidden)?.f_gelu("none")?;
        block.norm.forward(&hidden.f_add(&block.down.forward(&wide)?)?)
    }

    /// Attention of every text over itself; `qkv` is `[rows, 3 hidden]`, the result `[rows, hidden]`.
    fn attention(&self, qkv: &Tensor, runs: &[Run]) -> Result<Tensor, TchError> {
        let EncoderConfig { heads, hidden_size, .. } = self.config;
        let rows = qkv.size2()?.0;
        let mut outputs = Vec::with_capacity(runs.len() + 1);
        let mut last = 0;
        for run in runs {
            let count = run.texts * run.length;
            let of_run = qkv.f_narrow(0, run.first, count)?;
            // [3, texts, heads, length, width of a head]
            let parts = of_run
                .f_view([run.texts, run.length, 3, heads, hidden_size / heads])?
                .f_permute([2, 0, 3, 1, 4])?;
            let [query, key, value] = [parts.f_select(0, 0)?, parts.f_select(0, 1)?, parts.f_select(0, 2)?];
            let attended =
                Tensor::f_scaled_dot_product_attention::<Tensor>(&query, &key, &value, None, 0.0, false, None, false)?;
            outputs.push(attended.f_transpose(1, 2)?.f_reshape([count, hidden_size])?);
            last = run.first + count;
        }
        if last < rows {
            outputs.push(Tensor::f_zeros([rows - last, hidden_size], (qkv.kind(), Device::Cpu))?);
        }
        match outputs.as_slice() {
            [only] => Ok(only.shallow_clone()),
            several => Tensor::f_cat(several, 0),
        }
    }
}
