// Linear layers over packed weights: which kernel, how the work is shared out, and the output.
#include <algorithm>

#include "atelier.h"
#include "linear_any.h"
#include "linear_many.h"
#include "pool.h"
#include "scratch.h"

#if defined(__x86_64__)

namespace atelier {
namespace {

// From this many rows on, widening the weights once costs less than unpacking them again and again.
constexpr int64_t FEW = 16;
// Fewer rows than this are not worth a copy of the widened weights for another thread.
constexpr int64_t LEAST_ROWS = 48;

// Adds the bias and rounds: sums [rows, sums_stride] of the matrix' rows from `first` on.
ATELIER_BF16 void finish(const AtelierLinear& call, const float* sums, int64_t sums_stride, int64_t row, int64_t rows,
                         int64_t first, int64_t tiles) {
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t column = first + t * TILE;
        const int64_t lanes = std::min(TILE, call.matrix.rows - column);
        const __mmask16 mask = static_cast<__mmask16>((1u << lanes) - 1);
        __m512 bias = _mm512_setzero_ps();
        if (call.bias != nullptr && call.bias_kind == KIND_F32) {
            bias = _mm512_maskz_loadu_ps(mask, static_cast<const float*>(call.bias) + column);
        } else if (call.bias != nullptr) {
            const __m256i halves = _mm256_maskz_loadu_epi16(mask, static_cast<const bf16*>(call.bias) + column);
            bias = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
        }
        for (int64_t r = 0; r < rows; r++) {
            const __m512 value = _mm512_add_ps(_mm512_loadu_ps(sums + r * sums_stride + t * TILE), bias);
            const int64_t at = (row + r) * call.output_stride + column;
            if (call.output_kind == KIND_F32) {
                _mm512_mask_storeu_ps(static_cast<float*>(call.output) + at, mask, value);
            } else {
                const __m256bh halves = _mm512_cvtneps_pbh(value);
                _mm256_mask_storeu_epi16(static_cast<bf16*>(call.output) + at, mask,
                                         reinterpret_cast<__m256i>(halves));
            }
        }
    }
}

template <typename F>
void few(const AtelierLinear& call) {
    static thread_local Scratch scratch;
    const int64_t groups = call.matrix.columns / GROUP;
    const int64_t tiles = (call.matrix.rows + TILE - 1) / TILE;
    const float* sums = nullptr;
    if (F::AFFINE) {
        float* to = scratch.get<float>(call.rows * groups);
        group_sums(call.input, call.input_stride, call.rows, groups, to);
        sums = to;
    }
    pool::each(tiles, 1, [&](int64_t begin, int64_t end) {
        alignas(64) float out[MOST_ROWS * TILE];
        // Equal blocks: 9 rows are 5 and 4, not 8 and 1.
        const int64_t blocks = (call.rows + MOST_ROWS - 1) / MOST_ROWS;
        for (int64_t t = begin; t < end; t++) {
            for (int64_t b = 0; b < blocks; b++) {
                const int64_t row = call.rows * b / blocks, rows = call.rows * (b + 1) / blocks - row;
                few_rows_for<F>(static_cast<int>(rows))(call.matrix.blocks + t * groups * F::BLOCK, groups,
                                                        call.input + row * call.input_stride, call.input_stride,
                                                        sums + row * groups, out);
                finish(call, out, TILE, row, rows, t * TILE, 1);
            }
        }
    });
}

template <typename F>
void many(const AtelierLinear& call) {
    const int64_t groups = call.matrix.columns / GROUP;
    const int64_t tiles = (call.matrix.rows + TILE - 1) / TILE;
    const int64_t strips = (tiles + WIDE_TILES - 1) / WIDE_TILES;
    // Few strips leave threads without work: then the rows are shared out too.
    const int64_t wanted = (6 * pool::threads() + strips - 1) / strips;
    const int64_t parts = pool::threads() == 1 ? 1 : std::max<int64_t>(1, std::min(wanted, call.rows / LEAST_ROWS));
    pool::each(strips * parts, 1, [&](int64_t begin, int64_t end) {
        static thread_local Scratch line_scratch, sum_scratch;
        uint8_t* lines = line_scratch.get<uint8_t>(64 * WIDE_TILES * SPAN / 2);
        const int64_t most = (call.rows + parts - 1) / parts;
        float* sums = sum_scratch.get<float>((most + 1) * WIDE_TILES * TILE);
        int64_t widened = -1;
        for (int64_t unit = begin; unit < end; unit++) {
            const int64_t first = unit / parts * WIDE_TILES, part = unit % parts;
            const int count = static_cast<int>(std::min<int64_t>(WIDE_TILES, tiles - first));
            const int64_t from = call.rows * part / parts, to = call.rows * (part + 1) / parts;
            const uint8_t* blocks = call.matrix.blocks + first * groups * F::BLOCK;
            for (int64_t column = 0; column < call.matrix.columns; column += SPAN) {
                const int64_t span = std::min(SPAN, call.matrix.columns - column);
                if (widened != first || call.matrix.columns > SPAN) {
                    widen_tiles<F>(blocks + column / GROUP * F::BLOCK, groups * F::BLOCK, count, span / GROUP, lines);
                    widened = first;
                }
                const bool last = column + span == call.matrix.columns;
                for (int64_t row = from; row < to; row += WIDE_ROWS) {
                    const int64_t rows = std::min<int64_t>(WIDE_ROWS, to - row);
                    float* at = sums + (row - from) * WIDE_TILES * TILE;
                    many_rows_for(count, static_cast<int>(rows))(
                        lines, span / 2, call.input + row * call.input_stride + column, call.input_stride, at,
                        column > 0);
                    if (last) finish(call, at, WIDE_TILES * TILE, row, rows, first * TILE, count);
                }
            }
        }
    });
}

template <typename F>
void linear(const AtelierLinear& call) {
    call.rows <= FEW ? few<F>(call) : many<F>(call);
}

}  // namespace
}  // namespace atelier

#endif

namespace atelier {
namespace {

void linear_any(const AtelierLinear& call) {
    const int64_t groups = call.matrix.columns / GROUP;
    const int64_t tiles = (call.matrix.rows + TILE - 1) / TILE;
    pool::each(tiles, 1, [&](int64_t begin, int64_t end) {
        float out[ANY_ROWS * TILE];
        for (int64_t t = begin; t < end; t++) {
            const uint8_t* block = call.matrix.blocks + t * groups * block_bytes(call.matrix.format);
            const int64_t lanes = std::min(TILE, call.matrix.rows - t * TILE);
            for (int64_t row = 0; row < call.rows; row += ANY_ROWS) {
                const int64_t rows = std::min<int64_t>(ANY_ROWS, call.rows - row);
                few_rows_any_for(call.matrix.format, static_cast<int>(rows))(
                    block, groups, call.input + row * call.input_stride, call.input_stride, out);
                for (int64_t i = 0; i < rows * lanes; i++) {
                    const int64_t r = i / lanes, column = t * TILE + i % lanes;
                    float value = out[r * TILE + i % lanes];
                    if (call.bias != nullptr) {
                        value += call.bias_kind == KIND_F32 ? static_cast<const float*>(call.bias)[column]
                                                            : load(static_cast<const bf16*>(call.bias) + column);
                    }
                    const int64_t at = (row + r) * call.output_stride + column;
                    if (call.output_kind == KIND_F32) {
                        static_cast<float*>(call.output)[at] = value;
                    } else {
                        store(static_cast<bf16*>(call.output) + at, value);
                    }
                }
            }
        }
    });
}

}  // namespace
}  // namespace atelier

void atelier_linear(const AtelierLinear* call) {
    using namespace atelier;
#if defined(__x86_64__)
    if (has_bf16()) {
        switch (call->matrix.format) {
            case INT4: return linear<Int4>(*call);
            case INT8: return linear<Int8>(*call);
            case INT8_HALVES: return linear<Int8Halves>(*call);
            default: return linear<Bf16>(*call);
        }
    }
#endif
    linear_any(*call);
}

uint32_t atelier_features() { return (atelier::has_bf16() ? 1 : 0) | (atelier::has_avx2() ? 2 : 0); }

void atelier_set_handicap(int32_t level) { atelier::handicap.store(level); }

void atelier_set_threads(int32_t count) { atelier::pool::set_threads(count); }

int32_t atelier_threads() { return atelier::pool::threads(); }
