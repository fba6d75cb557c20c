//! libtorch's CUDA half, which is linked by nobody and loaded where there is one.

use std::ffi::CStr;

use tch::{Device, Kind, TchError, Tensor};

use crate::{arguments::refuse, ffi, message::Message};

const LIBRARY: &CStr = c"libtorch_cuda.so";

/// Loads libtorch's CUDA half and looks for a device; afterwards `tch::Cuda` and
/// `tch::Device::Cuda` work. One program thus serves images with and without CUDA.
///
/// # Errors
/// "no CUDA device", and why.
pub fn load() -> Result<(), String> {
    let mut message = Message::default();
    // SAFETY: both texts end with a zero, and the message has the capacity that is said. Loading runs
    // the library's initializers, which is what it is for.
    if !unsafe { ffi::atelier_load_library(LIBRARY.as_ptr(), message.pointer(), message.capacity()) } {
        return Err(format!("no CUDA device: {}", message.text()));
    }
    if !tch::Cuda::is_available() {
        return Err(
            "no CUDA device: libtorch_cuda.so is there and finds none; is the driver installed, and is a GPU assigned?"
                .into(),
        );
    }
    // SAFETY: the message has the capacity that is said.
    match unsafe { ffi::atelier_gpu_set_up(message.pointer(), message.capacity()) } {
        true => Ok(()),
        false => Err(format!("no CUDA device: {}", message.text())),
    }
}

/// A GPU's memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What nobody holds, this process's and others'.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// The memory of a GPU. Gives back first what libtorch keeps of it for later.
///
/// # Errors
/// When [`load`] was not called, or CUDA fails.
pub fn memory(index: usize) -> Result<Memory, TchError> {
    let mut message = Message::default();
    let mut memory = Memory { free: 0, total: 0 };
    let Memory { free, total } = &mut memory;
    // SAFETY: both numbers live during the call, and the message has the capacity that is said.
    let known = unsafe { ffi::atelier_gpu_memory(number(index), free, total, message.pointer(), message.capacity()) };
    match known {
        true => Ok(memory),
        false => Err(message.into_error()),
    }
}

/// Waits for all work on a GPU.
///
/// # Errors
/// What went wrong on it. Most such errors are there to stay: only a new process gets the GPU back.
pub fn synchronize(index: usize) -> Result<(), TchError> {
    let mut message = Message::default();
    // SAFETY: the message has the capacity that is said.
    match unsafe { ffi::atelier_gpu_synchronize(number(index), message.pointer(), message.capacity()) } {
        true => Ok(()),
        false => Err(message.into_error()),
    }
}

fn number(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// Queries of several sequences one after the other, and the keys and values that each sequence looks at.
#[derive(Clone, Copy, Debug)]
pub struct FlashAttention<'a> {
    /// `[queries, heads, head_dim]`
    pub queries: &'a Tensor,
    /// `[keys, kv_heads, head_dim]`
    pub keys: &'a Tensor,
    /// As the keys.
    pub values: &'a Tensor,
    /// Zero, then where each sequence's queries end: `[sequences + 1]`, 32-bit.
    pub query_ends: &'a Tensor,
    /// Zero, then where each sequence's place among the keys ends.
    pub key_ends: &'a Tensor,
    /// How much of its place each sequence uses: `[sequences]`, 32-bit.
    pub lengths: &'a Tensor,
    /// Queries of the sequence that has most.
    pub most_queries: i64,
    /// Keys of the sequence that has most.
    pub most_keys: i64,
}

impl FlashAttention<'_> {
    /// Attention by the kernel of Dao 2023 (<https://arxiv.org/abs/2307.08691>) on a GPU, in bfloat16. A
    /// sequence's last query is of its last key; none looks at keys after its own. `[queries, heads, head_dim]`.
    ///
    /// # Errors
    /// When the tensors do not fit each other, or the device has no such kernel.
    pub fn compute(&self) -> Result<Tensor, TchError> {
        self.check()?;
        let mut message = Message::default();
        // SAFETY: the tensors live during the call, and the message has the capacity that is said.
        let output = unsafe {
            ffi::atelier_flash_attention(
                self.queries.as_ptr(),
                self.keys.as_ptr(),
                self.values.as_ptr(),
                self.query_ends.as_ptr(),
                self.key_ends.as_ptr(),
                self.lengths.as_ptr(),
                self.most_queries,
                self.most_keys,
                message.pointer(),
                message.capacity(),
            )
        };
        match output.is_null() {
            true => Err(message.into_error()),
            // SAFETY: a new tensor that nobody else owns.
            false => Ok(unsafe { Tensor::from_ptr(output) }),
        }
    }

    /// What the kernel takes on trust. The numbers in the tensors stay the caller's promise, as they do
    /// for libtorch's own callers: to read them would wait for the GPU.
    fn check(&self) -> Result<(), TchError> {
        let device = self.queries.device();
        let (_, heads, head_dim) = self.queries.size3()?;
        let (keys, kv_heads, _) = self.keys.size3()?;
        let fits = |tensor: &Tensor| tensor.kind() == Kind::BFloat16 && tensor.device() == device;
        let sequences = self.lengths.size1()?;
        let counts = [
            (self.query_ends, sequences + 1),
            (self.key_ends, sequences + 1),
            (self.lengths, sequences),
        ];
        let counted = |(tensor, count): &(&Tensor, i64)| {
            tensor.size() == [*count] && tensor.kind() == Kind::Int && tensor.device() == device
        };
        if !matches!(device, Device::Cuda(_))
            || ![self.queries, self.keys, self.values].into_iter().all(fits)
            || self.keys.size() != [keys, kv_heads, head_dim]
            || self.values.size() != self.keys.size()
            || kv_heads == 0
            || heads % kv_heads != 0
            || sequences == 0
            || !counts.iter().all(counted)
        {
            return refuse(format!(
                "no attention on {device:?} of {:?} over {:?} for {sequences} sequences",
                self.queries, self.keys
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_device_the_answer_says_so() {
        if let Err(message) = load() {
            assert!(message.starts_with("no CUDA device: "), "{message}");
            assert!(!tch::Cuda::is_available());
            assert!(memory(0).is_err());
        } else {
            assert!(tch::Cuda::is_available());
        }
    }

    #[test]
    fn tensors_in_other_memory_are_refused() {
        let tensor = Tensor::zeros([2, 2, 8], (Kind::BFloat16, Device::Cpu));
        let counts = Tensor::from_slice(&[0i32, 2]);
        let attention = FlashAttention {
            queries: &tensor,
            keys: &tensor,
            values: &tensor,
            query_ends: &counts,
            key_ends: &counts,
            lengths: &counts.narrow(0, 1, 1),
            most_queries: 2,
            most_keys: 2,
        };
        let error = attention.compute().unwrap_err().to_string();
        assert!(error.contains("no attention on Cpu"), "{error}");
    }

    /// `cargo test -p atelier-engine-sys cuda -- --ignored` on a machine with a GPU.
    #[test]
    #[ignore = "needs a CUDA device"]
    fn attention_on_a_gpu_is_that_of_the_formula() {
        load().unwrap();
        let before = memory(0).unwrap();
        assert!(0 < before.free && before.free <= before.total);
        let gpu = Device::Cuda(0);
        // A token of a long sequence, and a piece in the middle of a prompt; places are multiples of 16.
        let (starts, counts, places) = ([40i64, 13], [1i64, 21], [48i64, 48]);
        let random = |shape: [i64; 3]| Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16);
        let (queries, keys, values) = (random([22, 4, 64]), random([96, 2, 64]), random([96, 2, 64]));
        let small = |numbers: &[i32]| Tensor::from_slice(numbers).to_device(gpu);
        let [q, k, v] = [&queries, &keys, &values].map(|tensor| tensor.to_device(gpu));
        let output = FlashAttention {
            queries: &q,
            keys: &k,
            values: &v,
            query_ends: &small(&[0, 1, 22]),
            key_ends: &small(&[0, 48, 96]),
            lengths: &small(&[41, 34]),
            most_queries: 21,
            most_keys: 41,
        };
        let output = output.compute().unwrap().to_device(Device::Cpu).to_kind(Kind::Float);
        synchronize(0).unwrap();
        let (mut row, mut place) = (0, 0);
        for ((start, count), room) in starts.into_iter().zip(counts).zip(places) {
            let own = |tensor: &Tensor| {
                tensor
                    .narrow(0, place, start + count)
                    .to_kind(Kind::Float)
                    .transpose(0, 1)
            };
            let own = |tensor: &Tensor| own(tensor).repeat_interleave_self_int(2, 0, None);
            let own_queries = queries.narrow(0, row, count).to_kind(Kind::Float).transpose(0, 1);
            let scores = own_queries.matmul(&own(&keys).transpose(1, 2)) / 8.0;
            let ahead = Tensor::ones([count, start + count], (Kind::Bool, Device::Cpu)).triu(start + 1);
            let weights = scores.masked_fill(&ahead, f64::NEG_INFINITY).softmax(-1, Kind::Float);
            let expected = weights.matmul(&own(&values)).transpose(0, 1);
            let off = (output.narrow(0, row, count) - expected).abs().max().double_value(&[]);
            assert!(off < 0.02, "off by {off}");
            (row, place) = (row + count, place + room);
        }
    }
}
