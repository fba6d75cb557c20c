// The inner loops of attention: query heads of one key-value head over a run of tokens, with the
// softmax computed as the scores come (Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867).
#pragma once

#include <cmath>
#include <limits>

#include "cpu.h"
#include "lanes.h"

namespace atelier {

constexpr int MOST_HEADS = 4;     // query heads at a time: their sums stay in registers
constexpr int64_t MOST_DIM = 512;  // of a head
constexpr int64_t SPAN = 512;      // tokens whose scores are kept at a time

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

#if defined(__x86_64__)
// The intrinsics cannot be called from a body that is compiled for every target.
template <typename A, typename B>
ATELIER_INLINE void multiply_pairs(Floats& sum, const A& a, const B& b) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}
#else
template <typename A, typename B>
void multiply_pairs(Floats& sum, const A& a, const B& b);
#endif

// Products of a query and a key by lane: the sum of the lanes is their dot product. `PRODUCTS` where
// the processor multiplies pairs of bfloat16 itself.
template <typename T, bool PRODUCTS>
ATELIER_INLINE void multiply(const T* query, const T* key, int64_t dim, Floats& sum) {
    sum = Floats{};
    if constexpr (PRODUCTS) {
        for (int64_t i = 0; i < dim; i += 2 * LANES) {
            Words a, b;
            std::memcpy(&a, query + i, sizeof a);
            std::memcpy(&b, key + i, sizeof b);
            multiply_pairs(sum, a, b);
        }
        return;
    }
    for (int64_t i = 0; i < dim; i += LANES) {
        Floats a, b;
        get(a, query + i);
        get(b, key + i);
        sum += a * b;
    }
}

// sums += weights x values, over the tokens first..last; VECTORS * 16 numbers of each head at a time
// stay in registers.
template <typename T, int G, int VECTORS>
ATELIER_INLINE void add_values(const Head<T>& head, int64_t first, int64_t last, int64_t at,
                               const float weights[G][SPAN], float* sums) {
    Floats sum[G][VECTORS];
    for (int g = 0; g < G; g++) {
        for (int v = 0; v < VECTORS; v++) get(sum[g][v], sums + g * head.dim + at + v * LANES);
    }
    for (int64_t token = first; token < last; token += LANES) {
        const T* values = head.values + head.page(token) + at;
        const int64_t count = last - token < LANES ? last - token : LANES;
        for (int64_t t = 0; t < count; t++, values += head.dim) {
            for (int v = 0; v < VECTORS; v++) {
                Floats value;
                get(value, values + v * LANES);
                for (int g = 0; g < G; g++) sum[g][v] += value * weights[g][token - first + t];
            }
        }
    }
    for (int g = 0; g < G; g++) {
        for (int v = 0; v < VECTORS; v++) put<false>(sums + g * head.dim + at + v * LANES, sum[g][v]);
    }
}

// The same by products of pairs: two tokens at a time, their weights rounded to bfloat16, 32 numbers of
// each head. In the sums of 32 numbers, the order is that of `interleaved`.
template <int G, int CHUNKS>
ATELIER_INLINE void add_value_pairs(const Head<bf16>& head, int64_t first, int64_t last, int64_t at,
                                    const bf16 weights[G][SPAN], float* sums) {
    typedef uint16_t Both __attribute__((vector_size(64)));
    typedef int16_t Order __attribute__((vector_size(64)));
    const Order low = {0,  32, 1,  33, 2,  34, 3,  35, 8,  40, 9,  41, 10, 42, 11, 43,
                       16, 48, 17, 49, 18, 50, 19, 51, 24, 56, 25, 57, 26, 58, 27, 59};
    const Order high = low + 4;
    alignas(64) static const bf16 NONE[MOST_DIM] = {};
    Floats sum[G][2 * CHUNKS];
    for (int g = 0; g < G; g++) {
        for (int v = 0; v < 2 * CHUNKS; v++) get(sum[g][v], sums + g * head.dim + at + v * LANES);
    }
    for (int64_t token = first; token < last; token += LANES) {
        const bf16* values = head.values + head.page(token) + at;
        const int64_t count = last - token < LANES ? last - token : LANES;
        for (int64_t t = 0; t < count; t += 2, values += 2 * head.dim) {
            // What lies after the last token may be no number.
            const bf16* second = t + 1 < count ? values + head.dim : NONE;
            for (int c = 0; c < CHUNKS; c++) {
                Both a, b;
                std::memcpy(&a, values + 32 * c, sizeof a);
                std::memcpy(&b, second + 32 * c, sizeof b);
                const Both pairs[2] = {__builtin_shuffle(a, b, reinterpret_cast<Both>(low)),
                                       __builtin_shuffle(a, b, reinterpret_cast<Both>(high))};
                for (int g = 0; g < G; g++) {
                    uint32_t pair;
                    std::memcpy(&pair, &weights[g][token - first + t], sizeof pair);
                    const Words weight = Words{} + pair;
                    multiply_pairs(sum[g][2 * c], pairs[0], weight);
                    multiply_pairs(sum[g][2 * c + 1], pairs[1], weight);
                }
            }
        }
    }
    for (int g = 0; g < G; g++) {
        for (int v = 0; v < 2 * CHUNKS; v++) put<false>(sums + g * head.dim + at + v * LANES, sum[g][v]);
    }
}

// Where number `i` of a head lies in the sums of add_value_pairs.
inline int64_t interleaved(int64_t i) { return i / 32 * 32 + i % 8 / 4 * 16 + i % 32 / 8 * 4 + i % 4; }

// G query heads over the tokens first..last, first at the start of a page of 16, dim a multiple of 16
// (of 32 with PRODUCTS). Writes each head's weighted sum of values, its peak score and the total of
// its weights, e^(score - peak).
template <typename T, int G, bool PRODUCTS>
ATELIER_INLINE void attend(const Head<T>& head, int64_t first, int64_t last, float* sums, float* peaks, float* totals) {
    const float infinity = std::numeric_limits<float>::infinity();
    const int64_t dim = head.dim;
    for (int64_t i = 0; i < G * dim; i++) sums[i] = 0.0f;
    for (int g = 0; g < G; g++) {
        peaks[g] = -infinity;
        totals[g] = 0.0f;
    }
    alignas(64) float weights[G][SPAN];
    alignas(64) bf16 rounded[PRODUCTS ? G : 1][SPAN];
    for (int64_t begin = first; begin < last; begin += SPAN) {
        const int64_t end = last - begin < SPAN ? last : begin + SPAN;
        for (int64_t token = begin; token < end; token += LANES) {
            const int64_t count = end - token < LANES ? end - token : LANES;
            const T* keys = head.keys + head.page(token);
            for (int g = 0; g < G; g++) {
                Floats parts[LANES];
                if (count == LANES) {
#pragma GCC unroll 16
                    for (int t = 0; t < LANES; t++) {
                        multiply<T, PRODUCTS>(head.query + g * dim, keys + t * dim, dim, parts[t]);
                    }
                } else {
                    for (int t = 0; t < LANES; t++) {
                        const int64_t key = t < count ? t : 0;
                        multiply<T, PRODUCTS>(head.query + g * dim, keys + key * dim, dim, parts[t]);
                    }
                }
                Floats scores;
                sum_each(parts, scores);
                scores *= head.scale;
                put<false>(&weights[g][token - begin], scores);
                for (int64_t t = count; t < LANES; t++) weights[g][token - begin + t] = -infinity;
            }
        }
        for (int g = 0; g < G; g++) {
            Floats best;
            get(best, weights[g]);
            for (int64_t i = LANES; i < end - begin; i += LANES) {
                Floats scores;
                get(scores, &weights[g][i]);
                best = scores > best ? scores : best;
            }
            const float most = largest(best), peak = most > peaks[g] ? most : peaks[g];
            const float shrink = std::exp(peaks[g] - peak);
            for (int64_t i = 0; begin > first && i < dim; i++) sums[g * dim + i] *= shrink;
            peaks[g] = peak;
            Floats total{};
            for (int64_t i = 0; i < end - begin; i += LANES) {
                Floats scores;
                get(scores, &weights[g][i]);
                scores -= peak;
                exponential(scores);
                total += scores;
                put<false>(&weights[g][i], scores);
                if constexpr (PRODUCTS) put<true>(&rounded[g][i], scores);
            }
            totals[g] = totals[g] * shrink + sum(total);
        }
        int64_t at = 0;
        if constexpr (PRODUCTS) {
            for (; at + 64 <= dim; at += 64) add_value_pairs<G, 2>(head, begin, end, at, rounded, sums);
            for (; at < dim; at += 32) add_value_pairs<G, 1>(head, begin, end, at, rounded, sums);
        } else {
            for (; at + 4 * LANES <= dim; at += 4 * LANES) add_values<T, G, 4>(head, begin, end, at, weights, sums);
            for (; at < dim; at += LANES) add_values<T, G, 1>(head, begin, end, at, weights, sums);
        }
    }
    if constexpr (PRODUCTS) {
        float plain[MOST_DIM];
        for (int g = 0; g < G; g++) {
            for (int64_t i = 0; i < dim; i++) plain[i] = sums[g * dim + interleaved(i)];
            std::memcpy(sums + g * dim, plain, dim * sizeof(float));
        }
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
