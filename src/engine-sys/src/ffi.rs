//! `cpp/atelier.h`, `cpp/torch.cpp` and `cpp/cuda.cpp`, as Rust sees them.

use std::ffi::{c_char, c_void};

use torch_sys::C_tensor;

pub const F32: i32 = 0;
pub const BF16: i32 = 1;

#[repr(C)]
pub struct Matrix {
    pub blocks: *const u8,
    pub rows: i64,
    pub columns: i64,
    pub format: i32,
}

#[repr(C)]
pub struct Linear {
    pub input: *const u16,
    pub input_stride: i64,
    pub rows: i64,
    pub matrix: Matrix,
    pub bias: *const c_void,
    pub bias_kind: i32,
    pub output: *mut c_void,
    pub output_stride: i64,
    pub output_kind: i32,
}

#[repr(C)]
pub struct Norm {
    pub residual: *mut c_void,
    pub residual_kind: i32,
    pub kind: i32,
    pub delta: *const c_void,
    pub delta_stride: i64,
    pub weight: *const c_void,
    pub output: *mut c_void,
    pub rows: i64,
    pub width: i64,
    pub epsilon: f32,
}

#[repr(C)]
pub struct Pages {
    pub keys: *mut c_void,
    pub values: *mut c_void,
    pub kind: i32,
    pub kv_heads: i64,
    pub head_dim: i64,
    pub page_size: i64,
}

#[repr(C)]
pub struct Rope {
    pub qkv: *mut c_void,
    pub rows: i64,
    pub heads: i64,
    pub cosines: *const f32,
    pub sines: *const f32,
    pub positions: *const i64,
    pub slots: *const i64,
    pub query_norm: *const c_void,
    pub key_norm: *const c_void,
    pub epsilon: f32,
    pub pages: Pages,
}

#[repr(C)]
pub struct Attention {
    pub queries: *const c_void,
    pub query_stride: i64,
    pub rows: i64,
    pub heads: i64,
    pub page_table: *const i32,
    pub first_page: *const i64,
    pub lengths: *const i64,
    pub scale: f32,
    pub pages: Pages,
    pub output: *mut c_void,
}

#[repr(C)]
pub struct Adapter {
    pub down: *const u16,
    pub up: *const u16,
    pub rank: i64,
    pub scale: f32,
}

#[repr(C)]
pub struct Lora {
    pub input: *const u16,
    pub input_stride: i64,
    pub output: *mut u16,
    pub output_stride: i64,
    pub rows: i64,
    pub inputs: i64,
    pub outputs: i64,
    pub adapters: *const Adapter,
    pub row_adapters: *const i32,
}

#[repr(C)]
pub struct CrossEntropy {
    pub logits: *mut c_void,
    pub kind: i32,
    pub gradient: bool,
    pub targets: *const i64,
    pub factors: *const f32,
    pub rows: i64,
    pub width: i64,
    pub losses: *mut f32,
    pub correct: *mut bool,
}

#[repr(C)]
pub struct AdamW {
    pub value: *mut f32,
    pub mean: *mut f32,
    pub square: *mut f32,
    pub gradient: *const f32,
    pub count: i64,
    pub scale: f32,
    pub keep: f32,
    pub rate: f32,
    pub mean_fresh: f32,
    pub square_decay: f32,
    pub square_fresh: f32,
    pub root_correction: f32,
    pub epsilon: f32,
}

unsafe extern "C" {
    pub fn atelier_features() -> u32;
    #[cfg(test)]
    pub fn atelier_set_handicap(level: i32);
    pub fn atelier_set_threads(count: i32);
    pub fn atelier_threads() -> i32;
    pub fn atelier_linear(call: *const Linear);
    pub fn atelier_widen(matrix: *const Matrix, rows: *const i64, count: i64, output: *mut c_void, kind: i32);
    pub fn atelier_add_rms_norm(call: *const Norm);
    pub fn atelier_silu_mul(gate_up: *const c_void, output: *mut c_void, kind: i32, rows: i64, width: i64);
    pub fn atelier_rope_and_store(call: *const Rope);
    pub fn atelier_paged_attention(call: *const Attention);
    pub fn atelier_lora(call: *const Lora);
    pub fn atelier_cross_entropy(call: *const CrossEntropy);
    pub fn atelier_adamw(call: *const AdamW);

    pub fn atelier_learn_norm(
        input: *const C_tensor,
        weight: *const C_tensor,
        epsilon: f64,
        message: *mut c_char,
        capacity: i64,
    ) -> *mut C_tensor;
    pub fn atelier_learn_gate(gate_up: *const C_tensor, message: *mut c_char, capacity: i64) -> *mut C_tensor;
    pub fn atelier_learn_heads(
        qkv: *const C_tensor,
        cosines: *const C_tensor,
        sines: *const C_tensor,
        heads: i64,
        kv_heads: i64,
        outputs: *mut *mut C_tensor,
        message: *mut c_char,
        capacity: i64,
    ) -> bool;
    pub fn atelier_backward(
        output: *const C_tensor,
        gradient: *const C_tensor,
        message: *mut c_char,
        capacity: i64,
    ) -> bool;
    pub fn atelier_add_gradient(
        tensor: *const C_tensor,
        more: *const C_tensor,
        message: *mut c_char,
        capacity: i64,
    ) -> bool;

    pub fn atelier_release_memory();
    pub fn atelier_map_large_blocks(least: i32, kept: i32) -> bool;
    pub fn atelier_inference_mode_enter() -> *mut c_void;
    pub fn atelier_inference_mode_leave(guard: *mut c_void);
    pub fn atelier_generator_state(message: *mut c_char, capacity: i64) -> *mut C_tensor;
    pub fn atelier_set_generator_state(state: *const C_tensor, message: *mut c_char, capacity: i64) -> bool;
    pub fn atelier_tensor_over(
        data: *mut c_void,
        shape: *const i64,
        dimensions: i64,
        kind: i8,
        owner: *mut c_void,
        release: extern "C" fn(*mut c_void),
        message: *mut c_char,
        capacity: i64,
    ) -> *mut C_tensor;
    pub fn atelier_load_library(name: *const c_char, message: *mut c_char, capacity: i64) -> bool;

    pub fn atelier_gpu_set_up(message: *mut c_char, capacity: i64) -> bool;
    pub fn atelier_gpu_memory(index: i32, free: *mut u64, total: *mut u64, message: *mut c_char, capacity: i64)
    -> bool;
    pub fn atelier_gpu_synchronize(index: i32, message: *mut c_char, capacity: i64) -> bool;
    pub fn atelier_flash_attention(
        queries: *const C_tensor,
        keys: *const C_tensor,
        values: *const C_tensor,
        query_ends: *const C_tensor,
        key_ends: *const C_tensor,
        lengths: *const C_tensor,
        most_queries: i64,
        most_keys: i64,
        message: *mut c_char,
        capacity: i64,
    ) -> *mut C_tensor;
}
