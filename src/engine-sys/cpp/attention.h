// The inner loops of attention: query heads of one key-value head over a run of tokens, with the
// softmax computed as the scores come (Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867).
#pragma once

#include <cmath>
#include <limits>

#include "cpu.h"
#include "lanes.h"

namespace atelier {

constexpr int MOST_HEADS = 4;       // query heads at a time: their sums stay in registers
constexpr int64_t MOST_DIM = 512;   // of a head

template <typename T>
struct Head {
    const T* query;  // [heads, dim]
    const T* keys;   // pages
    const T* values;
    const int32_t* table;  // pages of this row
    int64_t kv_heads;
    int64_t kv_head;
    int64_t dim;
    int64_t page_size;
    float scale;

    int64_t page(int64_t token) const {
        return (static_cast<int64_t>(table[token / page_size]) * kv_heads + kv_head) * page_size * dim;
    }
};

ATELIER_INLINE float largest(const Floats& value) {
    float parts[16];
    std::memcpy(parts, &value, sizeof parts);
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) parts[i] = parts[i] > parts[i + width] ? parts[i] : parts[i + width];
    }
    return parts[0];
}

// Lane t of the result is the sum of the lanes of v[t].
ATELIER_INLINE void sum_each(Floats v[16], Floats& result) {
    // Each step halves the number of vectors: two become one that holds the sums of both's halves.
    const Signed steps[4][2] = {
        {{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23},
         {8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31}},
        {{0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27},
         {4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31}},
        {{0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29},
         {2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31}},
        {{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30},
         {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31}},
    };
#pragma GCC unroll 4
    for (int step = 0; step < 4; step++) {
#pragma GCC unroll 8
        for (int i = 0; i < 8 >> step; i++) {
            v[i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], steps[step][0]) +
                   __builtin_shuffle(v[2 * i], v[2 * i + 1], steps[step][1]);
        }
    }
    result = v[0];
}

// Products of a query and a key by lane: the sum of the lanes is their dot product. `PRODUCTS` where
// the processor multiplies pairs of bfloat16 itself.
template <typename T, bool PRODUCTS>
ATELIER_INLINE void multiply(const T* query, const T* key, int64_t dim, Floats& sum) {
    sum = Floats{};
#if defined(__x86_64__)
    if constexpr (PRODUCTS) {
        for (int64_t i = 0; i < dim; i += 2 * LANES) {
            Words a, b;
            std::memcpy(&a, query + i, sizeof a);
            std::memcpy(&b, key + i, sizeof b);
            // The intrinsic cannot be called from a body that is compiled for every target.
            __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
        }
        return;
    }
#endif
    for (int64_t i = 0; i < dim; i += LANES) {
        Floats a, b;
        get(a, query + i);
        get(b, key + i);
        sum += a * b;
    }
}

// sums += weights x values of `count` tokens; 64 numbers of a head at a time stay in registers.
template <typename T, int G, int VECTORS>
ATELIER_INLINE void add_values(const T* values, int count, int64_t dim, const float weights[G][LANES], float* sums) {
    Floats sum[G][VECTORS];
    for (int g = 0; g < G; g++) {
        for (int v = 0; v < VECTORS; v++) get(sum[g][v], sums + g * dim + v * LANES);
    }
    for (int t = 0; t < count; t++) {
        for (int v = 0; v < VECTORS; v++) {
            Floats value;
            get(value, values + t * dim + v * LANES);
            for (int g = 0; g < G; g++) sum[g][v] += value * weights[g][t];
        }
    }
    for (int g = 0; g < G; g++) {
        for (int v = 0; v < VECTORS; v++) put(sums + g * dim + v * LANES, sum[g][v]);
    }
}

// G query heads over the tokens first..last, first at the start of a page of 16, dim a multiple of 16
// (of 32 with PRODUCTS). Writes each head's weighted sum of values, its peak score and the total of
// its weights, e^(score - peak).
template <typename T, int G, bool PRODUCTS>
ATELIER_INLINE void attend(const Head<T>& head, int64_t first, int64_t last, float* sums, float* peaks, float* totals) {
    const float infinity = std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < G * head.dim; i++) sums[i] = 0.0f;
    for (int g = 0; g < G; g++) {
        peaks[g] = -infinity;
        totals[g] = 0.0f;
    }
    for (int64_t token = first; token < last; token += LANES) {
        const int count = static_cast<int>(last - token < LANES ? last - token : LANES);
        const T* keys = head.keys + head.page(token);
        const T* values = head.values + head.page(token);
        alignas(64) float weights[G][LANES];
        for (int g = 0; g < G; g++) {
            Floats parts[LANES];
            for (int t = 0; t < count; t++) {
                multiply<T, PRODUCTS>(head.query + g * head.dim, keys + t * head.dim, head.dim, parts[t]);
            }
            for (int t = count; t < LANES; t++) parts[t] = Floats{};
            Floats scores;
            sum_each(parts, scores);
            scores *= head.scale;
            if (count < LANES) {
                for (int t = count; t < LANES; t++) scores[t] = -infinity;
            }
            const float best = largest(scores), peak = best > peaks[g] ? best : peaks[g];
            if (peak > peaks[g]) {
                const float shrink = std::exp(peaks[g] - peak);
                totals[g] *= shrink;
                for (int64_t i = 0; i < head.dim; i++) sums[g * head.dim + i] *= shrink;
                peaks[g] = peak;
            }
            scores -= peak;
            exponential(scores);
            totals[g] += sum(scores);
            put(weights[g], scores);
        }
        int64_t i = 0;
        for (; i + 4 * LANES <= head.dim; i += 4 * LANES) {
            add_values<T, G, 4>(values + i, count, head.dim, weights, sums + i);
        }
        for (; i < head.dim; i += LANES) add_values<T, G, 1>(values + i, count, head.dim, weights, sums + i);
    }
}

// One query head, whatever the dimensions.
template <typename T>
ATELIER_INLINE void attend_any(const Head<T>& head, int64_t first, int64_t last, float* sums, float* peak,
                               float* total) {
    *peak = -std::numeric_limits<float>::infinity();
    *total = 0.0f;
    for (int64_t i = 0; i < head.dim; i++) sums[i] = 0.0f;
    for (int64_t token = first; token < last; token++) {
        const int64_t at = head.page(token) + token % head.page_size * head.dim;
        float score = 0.0f;
        for (int64_t i = 0; i < head.dim; i++) score += load(head.query + i) * load(head.keys + at + i);
        score *= head.scale;
        if (score > *peak) {
            const float shrink = std::exp(*peak - score);
            *total *= shrink;
            for (int64_t i = 0; i < head.dim; i++) sums[i] *= shrink;
            *peak = score;
        }
        const float weight = std::exp(score - *peak);
        *total += weight;
        for (int64_t i = 0; i < head.dim; i++) sums[i] += weight * load(head.values + at + i);
    }
}

}  // namespace atelier
