// The C interface of the kernels. Rust checks every shape before it calls; these trust it.
#pragma once

#include <cstdint>

extern "C" {

// Bit 0: AVX-512 with bfloat16 products. Bit 1: AVX2.
uint32_t atelier_features();
// For tests: 1 hides the former, 2 both.
void atelier_set_handicap(int32_t level);
void atelier_set_threads(int32_t count);
int32_t atelier_threads();

struct AtelierMatrix {
    const uint8_t* blocks;
    int64_t rows;
    int64_t columns;
    int32_t format;
};

struct AtelierLinear {
    const uint16_t* input;  // bf16, [rows, columns of the matrix]
    int64_t input_stride;
    int64_t rows;
    AtelierMatrix matrix;
    const void* bias;  // one for each row of the matrix, or null
    int32_t bias_kind;
    void* output;  // [rows, rows of the matrix]
    int64_t output_stride;
    int32_t output_kind;
};

void atelier_linear(const AtelierLinear* call);

// Widens the listed rows of a matrix, or its first `count` rows where `rows` is null.
void atelier_widen(const AtelierMatrix* matrix, const int64_t* rows, int64_t count, void* output, int32_t kind);

struct AtelierNorm {
    void* residual;  // [rows, width], updated where there is a delta
    int32_t residual_kind;
    int32_t kind;       // of all else; bf16 where the residual is
    const void* delta;  // [rows, width] or null
    int64_t delta_stride;
    const void* weight;  // [width]
    void* output;        // [rows, width]
    int64_t rows;
    int64_t width;
    float epsilon;
};

void atelier_add_rms_norm(const AtelierNorm* call);

// silu(gate) * up; gate_up is [rows, 2 width], output [rows, width], both of `kind`.
void atelier_silu_mul(const void* gate_up, void* output, int32_t kind, int64_t rows, int64_t width);

struct AtelierPages {
    void* keys;  // [pages, kv_heads, page size, head_dim]
    void* values;
    int32_t kind;
    int64_t kv_heads;
    int64_t head_dim;
    int64_t page_size;
};

struct AtelierRope {
    void* qkv;  // [rows, (heads + 2 kv_heads) head_dim], queries rotated in place; type of the pages
    int64_t rows;
    int64_t heads;
    const float* cosines;  // [context, head_dim / 2]
    const float* sines;
    const int64_t* positions;  // [rows]
    const int64_t* slots;      // [rows]: page * page size + offset, or -1: store nothing
    const void* query_norm;    // [head_dim] of the type of qkv, or null
    const void* key_norm;
    float epsilon;
    AtelierPages pages;
};

void atelier_rope_and_store(const AtelierRope* call);

struct AtelierAttention {
    const void* queries;  // row i begins at i * query_stride; [heads, head_dim]
    int64_t query_stride;
    int64_t rows;
    int64_t heads;
    const int32_t* page_table;  // pages of all rows
    const int64_t* first_page;  // [rows]: where a row's pages begin in page_table
    const int64_t* lengths;     // [rows]: tokens to look at; 0: the output is zero
    float scale;
    AtelierPages pages;
    void* output;  // [rows, heads head_dim] of the type of the pages
};

void atelier_paged_attention(const AtelierAttention* call);

struct AtelierAdapter {
    const uint16_t* down;  // bf16 [rank, in]
    const uint16_t* up;    // bf16 [rank, out]
    int64_t rank;
    float scale;
};

struct AtelierLora {
    const uint16_t* input;  // bf16 [rows, in]
    int64_t input_stride;
    uint16_t* output;  // bf16 [rows, out], added to
    int64_t output_stride;
    int64_t rows;
    int64_t in;
    int64_t out;
    const AtelierAdapter* adapters;
    const int32_t* row_adapters;  // [rows]: index into adapters, or -1
};

void atelier_lora(const AtelierLora* call);

struct AtelierCrossEntropy {
    void* logits;  // [rows, width]; where `gradient` is set, the gradient of the sum of losses afterwards
    int32_t kind;
    bool gradient;
    const int64_t* targets;  // [rows]
    const float* factors;    // [rows]: what each row's gradient counts, or null: one
    int64_t rows;
    int64_t width;
    float* losses;  // [rows]
    bool* correct;  // [rows]: whether the target is likeliest
};

void atelier_cross_entropy(const AtelierCrossEntropy* call);

struct AtelierAdamW {
    float* value;  // [count], as all below
    float* mean;
    float* square;
    const float* gradient;
    int64_t count;
    float scale;  // of the gradient
    float keep;   // of the value
    float rate;   // over the correction of the mean
    float mean_fresh;  // what the gradient counts in the mean, and its square in the mean square
    float square_decay;
    float square_fresh;
    float root_correction;
    float epsilon;
};

void atelier_adamw(const AtelierAdamW* call);

}  // extern "C"
