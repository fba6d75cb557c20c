//! The network: tokens in, logits out.

use checkpoint::Checkpoint;
use tch::{Kind, TchError, Tensor};

use crate::{
    Batch, Cache, Device, Dtype, KvCache, LoadError, ModelConfig,
    batch::bucket,
    device_memory,
    layer::{Pass, Stream},
    lora::PassAdapters,
    ops::{Looks, LooksPass, Ops},
    places::Places,
    rope::Rope,
    weights::{Reading, Weights},
};

/// How a network is to be computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOptions {
    /// What computes.
    pub device: Device,
    /// Type to compute in.
    pub dtype: Dtype,
    /// Whose operations to compute with.
    pub ops: Ops,
    /// Tokens that one sequence may have, prompt and answer together.
    pub context_length: usize,
    /// Threads of one operation.
    pub threads: usize,
    /// Where is kept what this start makes and the next one needs.
    pub cache: Option<Cache>,
}

impl ModelOptions {
    /// On the processor, with one thread, keeping nothing.
    pub fn plain(dtype: Dtype, ops: Ops, context_length: usize) -> Self {
        Self {
            device: Device::Cpu,
            dtype,
            ops,
            context_length,
            threads: 1,
            cache: None,
        }
    }

    /// Whether matrices are computed with as they are packed, which our kernels do in bfloat16.
    pub(crate) fn packs(&self) -> bool {
        self.ops == Ops::Own && self.dtype == Dtype::Bf16
    }
}

/// A network with its weights.
pub struct Model {
    config: ModelConfig,
    dtype: Dtype,
    device: tch::Device,
    ops: Ops,
    /// Whether the device has the kernel of [`engine_sys::cuda::FlashAttention`] for this network.
    flash: bool,
    weights: Weights,
    rope: Rope,
}

impl Model {
    /// Loads the weights of `file`.
    ///
    /// # Errors
    /// When the file is not of a supported architecture, or lacks something, or there is no such device.
    pub fn load(file: &Checkpoint, options: &ModelOptions) -> Result<Self, LoadError> {
        let ModelOptions { dtype, ops, .. } = *options;
        let device = options.device.open()?;
        let config = ModelConfig::from_header(file.header())?;
        device_memory::check(file.header(), options)?;
        let reading = Reading {
            dtype,
            device,
            pack: options.packs(),
            cache: options.cache.as_ref(),
            threads: options.threads,
        };
        Ok(Self {
            weights: Weights::load(file, &config, reading)?,
            rope: Rope::new(&config, options.context_length, device)?,
            dtype,
            device,
            ops,
            flash: device_memory::has_flash_attention(&config, dtype, device),
            config,
        })
    }

    /// The network's dimensions.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// An empty cache of `pages` pages.
    ///
    /// # Errors
    /// When libtorch cannot reserve the memory.
    pub fn cache(&self, pages: usize) -> Result<KvCache, TchError> {
        KvCache::new(&self.config, pages, self.dtype, self.device, self.ops)
    }

    /// Computes the batch's tokens, keeps their keys and values in `cache`, and returns the logits that the
    /// batch asks for, in single precision and the processor's memory: `[wanted rows, vocabulary]`, or `None`
    /// if it asks for none.
    ///
    /// # Errors
    /// When libtorch fails; the pages of the batch then hold nothing of use.
    pub fn forward(&self, batch: &Batch, cache: &KvCache) -> Result<Option<Tensor>, TchError> {
        let logits = self.compute(batch, cache)?;
        logits.map(|logits| logits.f_to_device(tch::Device::Cpu)).transpose()
    }

    /// As [`Self::forward`], but leaves the logits where they were computed.
    pub(crate) fn compute(&self, batch: &Batch, cache: &KvCache) -> Result<Option<Tensor>, TchError> {
        let wanted = batch.logit_rows();
        // Copied before the work begins: a copy waits for what was begun. If all rows are wanted, which is
        // the common case of a pass of one token each, there is nothing to copy.
        let rows = match wanted.is_empty() || wanted.len() == self.rows(batch) {
            true => None,
            false => Some(Tensor::f_from_slice(&wanted)?.f_to_device(self.device)?),
        };
        let mut stream = self.hidden(batch, cache, self.weights.layers.len())?;
        if wanted.is_empty() {
            return Ok(None);
        }
        if let Some(rows) = rows {
            let select = |tensor: &Tensor| tensor.f_index_select(0, &rows);
            stream = Stream {
                residual: select(&stream.residual)?,
                delta: stream.delta.as_ref().map(select).transpose()?,
            };
        }
        self.logits(stream).map(Some)
    }

    /// Finds out whether the device still computes after an error, and gives back what libtorch keeps of its
    /// memory for later.
    ///
    /// # Errors
    /// When it does not: most errors of a GPU last as long as the process.
    pub(crate) fn recover(&self) -> Result<(), TchError> {
        match self.device {
            tch::Device::Cuda(index) => {
                engine_sys::cuda::synchronize(index)?;
                engine_sys::cuda::memory(index).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Rows that a pass over `batch` is padded to; on GPUs there is nothing to gain by it.
    fn rows(&self, batch: &Batch) -> usize {
        match self.device {
            tch::Device::Cpu => bucket(batch.len()),
            _ => batch.len(),
        }
    }

    /// What the first `layers` blocks make of the batch.
    pub(crate) fn hidden(&self, batch: &Batch, cache: &KvCache, layers: usize) -> Result<Stream, TchError> {
        let rows = self.rows(batch);
        let tokens = batch.segments.iter().flat_map(|segment| &segment.tokens);
        let mut tokens: Vec<i64> = tokens.map(|token| i64::from(*token)).collect();
        tokens.resize(rows, 0);
        let places = Places::new(batch, rows);
        let looks = LooksPass {
            batch,
            places: &places,
            cache,
            config: &self.config,
            rope: &self.rope,
            flash: self.flash,
        };
        let pass = Pass {
            ops: self.ops,
            config: &self.config,
            cache,
            rope: &self.rope,
            places: &places,
            looks: Looks::new(self.ops, looks)?,
            adapters: PassAdapters::new(batch, rows, self.ops, self.device)?,
        };
        let mut stream = Stream {
            residual: self.weights.embedding.select(&tokens, Kind::Float)?,
            delta: None,
        };
        for (index, weights) in self.weights.layers.iter().take(layers).enumerate() {
            pass.block(index, weights, &mut stream)?;
        }
        Ok(stream)
    }

    /// The logits of rows, `[rows, vocabulary]` in single precision.
    pub(crate) fn logits(&self, mut stream: Stream) -> Result<Tensor, TchError> {
        let epsilon = self.config.norm_epsilon;
        let (residual, delta) = (&mut stream.residual, stream.delta.as_ref());
        let (weight, kind) = (&self.weights.output_norm, self.dtype.kind());
        let normed = self.ops.add_rms_norm(residual, delta, weight, epsilon, kind)?;
        self.weights.head().forward_as(&normed, None, Kind::Float)
    }
}

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod families;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogitRows, Segment, weights::tests::tiny_file};

    fn tiny() -> Model {
        Model::load(&tiny_file(&[]), &ModelOptions::plain(Dtype::Fp32, Ops::Own, 64)).unwrap()
    }

    /// A segment of a sequence whose only page is `page`.
    fn segment(page: u32, start: usize, tokens: &[u32], logits: LogitRows) -> Segment {
        Segment {
            pages: vec![page],
            start,
            tokens: tokens.into(),
            logits,
            adapter: None,
        }
    }

    fn run(model: &Model, cache: &KvCache, segments: Vec<Segment>) -> Option<Tensor> {
        let _guard = tch::no_grad_guard();
        model.forward(&Batch { segments }, cache).unwrap()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    const TOKENS: [u32; 11] = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9];

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let model = tiny();
        let whole = run(
            &model,
            &model.cache(1).unwrap(),
            vec![segment(0, 0, &TOKENS, LogitRows::All)],
        )
        .unwrap();
        assert_eq!(whole.size(), [11, 64]);

        let cache = model.cache(1).unwrap();
        assert!(run(&model, &cache, vec![segment(0, 0, &TOKENS[..4], LogitRows::None)]).is_none());
        let middle = run(&model, &cache, vec![segment(0, 4, &TOKENS[4..10], LogitRows::Last)]).unwrap();
        let last = run(&model, &cache, vec![segment(0, 10, &TOKENS[10..], LogitRows::Last)]).unwrap();
        assert!(distance(&middle.get(0), &whole.get(9)) < 1e-4);
        assert!(distance(&last.get(0), &whole.get(10)) < 1e-4);
    }

    #[test]
    fn sequences_of_one_pass_do_not_touch_each_other() {
        let model = tiny();
        let alone = |tokens: &[u32]| {
            let cache = model.cache(1).unwrap();
            run(&model, &cache, vec![segment(0, 0, tokens, LogitRows::Last)]).unwrap()
        };
        let cache = model.cache(3).unwrap();
        run(&model, &cache, vec![segment(1, 0, &TOKENS[..10], LogitRows::None)]);
        let together = run(
            &model,
            &cache,
            vec![
                segment(2, 0, &TOKENS[3..], LogitRows::Last),
                segment(1, 10, &TOKENS[10..], LogitRows::Last),
                segment(0, 0, &TOKENS[..5], LogitRows::Last),
            ],
        )
        .unwrap();
        for (row, tokens) in [(0, &TOKENS[3..]), (1, &TOKENS[..]), (2, &TOKENS[..5])] {
            assert!(distance(&together.get(row), &alone(tokens).get(0)) < 1e-4, "row {row}");
        }
    }
}
