//! What the result's file looks like, before any of its weights is known.

use gguf::{GgmlType, Header, Layout, Metadata, TensorInfo, Value};

use crate::{
    Error, Options, Quantization, Structure,
    source::{Source, prefix},
};

/// Feed-forward channels stay a multiple of this, so that rows of down are whole blocks.
const CHANNELS: u64 = 32;

/// The file to write.
pub(crate) struct Plan {
    pub layout: Layout,
    /// Feed-forward channels of every block.
    pub feed_forward: u64,
    /// The place of each of the source's blocks in the result; none for those that go.
    blocks: Vec<Option<usize>>,
}

impl Plan {
    /// Places every tensor of a result in which the blocks `gone` are missing.
    pub fn new(source: &Source, options: &Options, gone: &[usize]) -> Result<Self, Error> {
        let header = source.header();
        let mut places = 0..;
        let blocks: Vec<_> = (0..source.config().layers)
            .map(|index| if gone.contains(&index) { None } else { places.next() })
            .collect();
        let feed_forward = feed_forward(source.config().feed_forward_size.unsigned_abs(), options)?;
        let tensors: Vec<_> = header
            .tensors
            .iter()
            .filter_map(|info| {
                let shape = shape(info, feed_forward);
                let ggml_type = target_type(info, &shape, options.quantization);
                Some((renamed(&info.name, &blocks)?, shape, ggml_type))
            })
            .collect();
        let count = blocks.iter().flatten().count() as u64;
        Ok(Self {
            layout: Layout::new(&metadata(header, options, feed_forward, count), &tensors)?,
            feed_forward,
            blocks,
        })
    }

    /// What the names of a block's tensors begin with in the result; none if the block goes.
    pub fn prefix(&self, block: usize) -> Option<String> {
        self.blocks.get(block).copied().flatten().map(prefix)
    }
}

/// The name that a tensor has in the result; none if it goes with its block.
fn renamed(name: &str, blocks: &[Option<usize>]) -> Option<String> {
    let Some((block, rest)) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        return Some(name.to_owned());
    };
    let place = blocks.get(block.parse::<usize>().ok()?).copied().flatten()?;
    Some(prefix(place) + rest)
}

/// Channels that stay.
fn feed_forward(channels: u64, options: &Options) -> Result<u64, Error> {
    let Some((Structure::Channels, sparsity)) = options.structured() else {
        return Ok(channels);
    };
    let wanted = channels as f64 * (1.0 - sparsity) / CHANNELS as f64;
    let kept = (wanted.round() as u64 * CHANNELS).max(CHANNELS);
    if kept >= channels {
        return Err(Error::Options(format!(
            "--sparsity {sparsity} takes none of {channels} feed-forward channels, which go by {CHANNELS}; raise it"
        )));
    }
    Ok(kept)
}

fn shape(info: &TensorInfo, feed_forward: u64) -> Vec<u64> {
    let mut shape = info.shape.clone();
    match info.name.rsplit_once('.').map(|(name, _)| name) {
        Some(name) if name.ends_with("ffn_gate") || name.ends_with("ffn_up") => shape[0] = feed_forward,
        Some(name) if name.ends_with("ffn_down") => shape[1] = feed_forward,
        _ => {}
    }
    shape
}

/// Vectors stay exact; the embedding and the head, which suffer most, keep 8 bits.
fn target_type(info: &TensorInfo, shape: &[u64], quantization: Quantization) -> GgmlType {
    if shape.len() < 2 {
        return GgmlType::F32;
    }
    let outer = !info.name.starts_with("blk.");
    let wanted = match quantization {
        Quantization::None if matches!(info.ggml_type, GgmlType::F32 | GgmlType::F16) => info.ggml_type,
        Quantization::None | Quantization::BF16 => GgmlType::BF16,
        Quantization::FP16 => GgmlType::F16,
        Quantization::Int4 if !outer => GgmlType::Q4_1,
        Quantization::Int4 | Quantization::Int8 => GgmlType::Q8_0,
    };
    match shape.last().is_some_and(|columns| columns % wanted.block_len() == 0) {
        true => wanted,
        // Rows that are no whole blocks.
        false => GgmlType::F16,
    }
}

fn metadata(header: &Header, options: &Options, feed_forward: u64, blocks: u64) -> Metadata {
    let architecture = header.metadata.string("general.architecture").unwrap_or_default();
    // llama.cpp's numbers of file types.
    let file_type = match options.quantization {
        Quantization::None => None,
        Quantization::FP16 => Some(1),
        Quantization::Int4 => Some(3),
        Quantization::Int8 => Some(7),
        Quantization::BF16 => Some(32),
    };
    let mut changed = vec![
        (format!("{architecture}.block_count"), blocks),
        (format!("{architecture}.feed_forward_length"), feed_forward),
        ("general.quantization_version".to_owned(), 2),
    ];
    changed.extend(file_type.map(|file_type| ("general.file_type".to_owned(), file_type)));
    let kept = header
        .metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clone()));
    let kept: Vec<_> = kept
        .filter(|(key, _)| changed.iter().all(|(name, _)| name != key))
        .collect();
    let changed = changed.into_iter().map(|(key, value)| (key, Value::Unsigned(value)));
    kept.into_iter().chain(changed).collect()
}
