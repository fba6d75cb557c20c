// What a block does between its products when it is trained, there and back. Everything lies in one piece; `kind` says
// what the numbers are, those that are added up over rows are always single.
#pragma once

#include <cstdint>

namespace atelier::learn {

// `[rows, width]`; `factors` gets what each row was multiplied with.
void norm(int32_t kind, const void* input, const void* weight, void* output, float* factors, int64_t rows,
          int64_t width, float epsilon);
void norm_back(int32_t kind, const void* input, const void* weight, const void* gradient, const float* factors,
               void* result, int64_t rows, int64_t width);
// The gradient of the weight, `[width]`.
void norm_weight_back(int32_t kind, const void* input, const void* gradient, const float* factors, float* result,
                      int64_t rows, int64_t width);

// The gradient of silu(gate) * up, `[rows, 2 width]` as `gate_up`, from that of the product, `[rows, width]`.
void gate_back(int32_t kind, const void* gate_up, const void* gradient, void* result, int64_t rows, int64_t width);

struct Heads {
    int64_t rows;
    int64_t heads;
    int64_t kv_heads;
    int64_t dim;
    const float* cosines;  // [rows, dim / 2]
    const float* sines;
};

// From `[rows, (heads + 2 kv_heads) dim]` to queries, keys and values, `[rows, heads, dim]` each: queries and keys
// rotated, the halves of a head being pairs, and keys and values once for each head that looks at them.
void split(int32_t kind, const Heads& heads, const void* input, void* queries, void* keys, void* values);
void split_back(int32_t kind, const Heads& heads, const void* queries, const void* keys, const void* values,
                void* result);

}  // namespace atelier::learn
