//! How many pages the cache may have: what the container's memory limit leaves, or a GPU's memory.

use engine_sys::cuda::Memory;
use tch::Kind;

use crate::{Device, EngineOptions, KvCache, LoadError, ModelConfig, PAGE, memory, scheduler::LOGIT_ROWS};

/// Bytes of a number in single precision.
const FLOAT: u64 = 4;

/// Memory that is left alone, for the passes' temporaries and the HTTP side: a share of the limit, and
/// at least so many bytes. More if the widest pass takes more, as far as one request still fits.
const SPARE_SHARE: u64 = 16;
const SPARE_BYTES: u64 = 64 << 20;

/// The cache's size in pages. It follows the memory limit; in a GPU's memory it stays what it was at the start.
pub(crate) struct CacheSize {
    page_bytes: u64,
    /// What is held beside the cache.
    beside: u64,
    /// Temporaries of the widest pass.
    temporaries: u64,
    /// Enough for one request.
    least: usize,
    /// Enough for all requests that may run.
    most: usize,
    limit: Box<dyn Fn() -> Option<u64> + Send>,
    /// What the limit is, and what can be done about it.
    limit_is: [&'static str; 2],
}

impl CacheSize {
    /// Call it when the weights are loaded and no page is written yet.
    ///
    /// # Errors
    /// When the limit does not even leave room for one request.
    pub fn new(config: &ModelConfig, options: &EngineOptions) -> Result<Self, LoadError> {
        let least = options.model.context_length.div_ceil(PAGE);
        let all = least.saturating_mul(options.max_concurrent_sequences);
        let asked = options.kv_cache_tokens.map(|tokens| tokens.div_ceil(PAGE));
        let size = Self {
            page_bytes: KvCache::page_bytes(config, options.model.dtype),
            beside: memory::resident().unwrap_or_default(),
            temporaries: temporaries(config, options),
            least,
            most: asked.unwrap_or(all),
            limit: Box::new(memory::limit),
            limit_is: ["the memory limit", "raise the limit"],
        };
        let size = match options.model.device {
            Device::Cpu => size,
            Device::Cuda(index) => size.in_memory(engine_sys::cuda::memory(index)?, config.layers),
        };
        size.check()?;
        Ok(match options.model.device {
            Device::Cpu => size,
            Device::Cuda(_) => size.fixed(),
        })
    }

    /// The same in a GPU's memory, of which others may hold a part.
    fn in_memory(self, memory: Memory, layers: usize) -> Self {
        Self {
            // Attention reads a copy of one layer's pages, and the next one's before that is gone.
            page_bytes: self.page_bytes + 2 * self.page_bytes / (layers as u64).max(1),
            beside: memory.total.saturating_sub(memory.free),
            limit: Box::new(move || Some(memory.total)),
            limit_is: ["the GPU's memory", "use a larger GPU"],
            ..self
        }
    }

    /// What is there now is taken at once and for good.
    fn fixed(self) -> Self {
        Self {
            most: self.now(),
            limit: Box::new(|| None),
            ..self
        }
    }

    fn check(&self) -> Result<(), LoadError> {
        let Self {
            least,
            most,
            limit_is: [limit, remedy],
            ..
        } = *self;
        if most < least {
            return Err(LoadError::Options(format!(
                "a cache of {} tokens has no room for one context of {}",
                most * PAGE,
                least * PAGE
            )));
        }
        match self.allowed(0) {
            Some(allowed) if allowed < least => Err(LoadError::Options(format!(
                "{limit} leaves {} MiB for keys and values, one context of {} tokens takes {}: {remedy} or lower the \
                 context length",
                (allowed as u64 * self.page_bytes) >> 20,
                least * PAGE,
                (least as u64 * self.page_bytes) >> 20
            ))),
            _ => Ok(()),
        }
    }

    /// Pages to reserve addresses for.
    pub fn reserved(&self) -> usize {
        self.most
    }

    /// Pages that may be used now; never less than one request needs.
    pub fn now(&self) -> usize {
        let allowed = self.allowed(self.temporaries).unwrap_or(self.most);
        allowed.clamp(self.least, self.most)
    }

    fn allowed(&self, temporaries: u64) -> Option<usize> {
        let limit = (self.limit)()?;
        let spare = (limit / SPARE_SHARE).max(SPARE_BYTES).max(temporaries);
        let left = limit.saturating_sub(self.beside).saturating_sub(spare);
        usize::try_from(left / self.page_bytes).ok()
    }
}

/// Bytes that the widest pass takes for a while: inputs and outputs of a layer, the largest matrix as
/// plain numbers, and the logits. `MemoryEstimate` of `protocol` plans for the same.
fn temporaries(config: &ModelConfig, options: &EngineOptions) -> u64 {
    let [hidden, feed_forward, vocabulary] =
        [config.hidden_size, config.feed_forward_size, config.vocabulary_size].map(i64::unsigned_abs);
    let [batch, sequences] = [options.max_batch_tokens, options.max_concurrent_sequences].map(|count| count as u64);
    let element = match options.model.dtype.kind() {
        Kind::Float => FLOAT,
        _ => FLOAT / 2,
    };
    let layer = batch * (4 * hidden + 3 * feed_forward) * element;
    let widest = vocabulary.max(2 * feed_forward) * hidden * FLOAT;
    let logit_rows = batch.min(LOGIT_ROWS as u64 + sequences) + 2 * LOGIT_ROWS as u64;
    layer + widest + logit_rows * vocabulary * FLOAT
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn size(limit: fn() -> Option<u64>) -> CacheSize {
        CacheSize {
            page_bytes: MIB,
            beside: 200 * MIB,
            temporaries: 0,
            least: 32,
            most: 512,
            limit: Box::new(limit),
            limit_is: ["the memory limit", "raise the limit"],
        }
    }

    #[test]
    fn the_cache_gets_what_the_limit_leaves() {
        assert_eq!(size(|| None).now(), 512);
        assert_eq!(size(|| Some(400 * MIB)).now(), 400 - 200 - 64);
        assert_eq!(size(|| Some(4096 * MIB)).now(), 512);
        // Less than one request needs would be of no use to anybody.
        assert_eq!(size(|| Some(MIB)).now(), 32);
    }

    #[test]
    fn wide_passes_are_left_room_beside_one_request() {
        let wide = |limit| CacheSize {
            temporaries: 150 * MIB,
            ..size(limit)
        };
        assert_eq!(wide(|| Some(400 * MIB)).now(), 400 - 200 - 150);
        assert_eq!(wide(|| Some(4096 * MIB)).now(), 512);
        // They are rare, and one request is better than none.
        assert!(wide(|| Some(296 * MIB)).check().is_ok());
        assert_eq!(wide(|| Some(296 * MIB)).now(), 32);
    }

    #[test]
    fn of_a_gpu_the_cache_takes_what_others_leave() {
        let memory = Memory {
            free: 400 * MIB,
            total: 1024 * MIB,
        };
        // Pages of 20 layers take a tenth more for the copies of two.
        let size = || CacheSize {
            page_bytes: 10 * MIB,
            ..size(|| None)
        };
        let fixed = size().in_memory(memory, 20).fixed();
        assert_eq!((fixed.reserved(), fixed.now()), (32, 32));
        let error = size().in_memory(memory, 20).check().unwrap_err().to_string();
        assert!(error.contains("the GPU's memory leaves 330 MiB"), "{error}");
        assert!(error.contains("a larger GPU"), "{error}");
        let half = Memory {
            free: 600 * MIB,
            ..memory
        };
        assert!(size().in_memory(half, 20).check().is_ok());
        assert_eq!(size().in_memory(half, 20).fixed().reserved(), 536 / 11);
    }

    #[test]
    fn too_little_for_one_request_is_refused_at_the_start() {
        assert!(size(|| Some(296 * MIB)).check().is_ok());
        let error = size(|| Some(290 * MIB)).check().unwrap_err().to_string();
        assert!(error.contains("leaves 26 MiB") && error.contains("takes 32"), "{error}");
        let small = CacheSize {
            most: 31,
            ..size(|| None)
        };
        assert!(small.check().unwrap_err().to_string().contains("no room"));
    }
}
