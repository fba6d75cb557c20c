// Products on processors without bfloat16 products: weights become floats where they are used.
#pragma once

#include "format.h"
#include "targets.h"

namespace atelier {

constexpr int ANY_ROWS = 4;

// Column `k` of a group for all lanes, as q, or as the weight itself where there is no scale.
template <int32_t FORMAT>
ATELIER_INLINE void column(const uint8_t* block, int k, Floats& value) {
    if constexpr (FORMAT == BF16) {
        Words pairs;
        std::memcpy(&pairs, block + 64 * (k / 2), sizeof pairs);
        value = reinterpret_cast<Floats>(k % 2 ? pairs & 0xffff0000 : pairs << 16);
    } else if constexpr (FORMAT == INT4) {
        Words eight;
        std::memcpy(&eight, block + 64 * (k / 8), sizeof eight);
        const Words q = eight >> (16 * (k % 2) + 4 * (k % 8 / 2)) & 15;
        value = __builtin_convertvector(reinterpret_cast<Signed>(q), Floats);
    } else {
        const uint8_t* line = block + 64 * (k / 4) + 8 * (k % 4 / 2) + k % 2;
        Signed q;
        for (int l = 0; l < LANES; l++) {
            const uint8_t byte = line[16 * (l / 4) + 2 * (l % 4)];
            q[l] = byte & 0x80 ? -(byte & 0x7f) : byte;
        }
        value = __builtin_convertvector(q, Floats);
    }
}

ATELIER_INLINE void halves(const uint8_t* p, Floats& value) {
    for (int l = 0; l < LANES; l++) {
        f16 bits;
        std::memcpy(&bits, p + 2 * l, sizeof bits);
        value[l] = f16_to_float(bits);
    }
}

// One tile with R rows of input. Writes [R, 16].
template <int32_t FORMAT, int R>
struct FewRowsAny {
    template <bool NATIVE>
    ATELIER_INLINE void run(const uint8_t* block, int64_t groups, const bf16* x, int64_t stride, float* out) {
        Floats sum[R] = {};
        for (int64_t g = 0; g < groups; g++, block += block_bytes(FORMAT), x += GROUP) {
            Floats scales[2] = {};
            if constexpr (FORMAT != BF16) {
                halves(block + (FORMAT == INT4 ? 256 : 512), scales[0]);
                halves(block + (FORMAT == INT4 ? 288 : 544), scales[1]);
            }
#pragma GCC unroll 8
            for (int k = 0; k < GROUP; k++) {
                Floats weight;
                column<FORMAT>(block, k, weight);
                if constexpr (FORMAT == INT8_HALVES) weight *= scales[k / 16];
                if constexpr (FORMAT == INT4 || FORMAT == INT8) weight = weight * scales[0] + scales[1];
                for (int r = 0; r < R; r++) sum[r] += weight * bf16_to_float(x[r * stride + k]);
            }
        }
        for (int r = 0; r < R; r++) put<NATIVE>(out + r * TILE, sum[r]);
    }
};

using FewRowsAnyFor = void (*)(const uint8_t*, int64_t, const bf16*, int64_t, float*);

template <int32_t FORMAT, int R>
void few_rows_any(const uint8_t* block, int64_t groups, const bf16* x, int64_t stride, float* out) {
    run_best<FewRowsAny<FORMAT, R>>(block, groups, x, stride, out);
}

template <int32_t FORMAT>
FewRowsAnyFor few_rows_any_for(int rows) {
    static constexpr FewRowsAnyFor TABLE[ANY_ROWS] = {few_rows_any<FORMAT, 1>, few_rows_any<FORMAT, 2>,
                                                      few_rows_any<FORMAT, 3>, few_rows_any<FORMAT, 4>};
    return TABLE[rows - 1];
}

inline FewRowsAnyFor few_rows_any_for(int32_t format, int rows) {
    switch (format) {
        case INT4: return few_rows_any_for<INT4>(rows);
        case INT8: return few_rows_any_for<INT8>(rows);
        case INT8_HALVES: return few_rows_any_for<INT8_HALVES>(rows);
        default: return few_rows_any_for<BF16>(rows);
    }
}

}  // namespace atelier
