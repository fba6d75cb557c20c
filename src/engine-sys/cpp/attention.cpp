// Attention of single queries over pages of keys and values.
//
// The unit of work is one row and one key-value head; the query heads that share it are computed
// together, so keys and values are read once. A long row is cut into parts whose results are merged
// (https://pytorch.org/blog/flash-decoding/), so that one sequence keeps all threads busy.
#include <algorithm>
#include <cmath>
#include <limits>

#include "atelier.h"
#include "attention.h"
#include "pool.h"
#include "scratch.h"
#include "targets.h"

namespace atelier {
namespace {

// A part shorter than this is not worth the merging.
constexpr int64_t LEAST_PAGES = 8;

template <typename T, int G, bool PRODUCTS>
struct Attend {
    template <bool NATIVE>
    ATELIER_INLINE void run(const Head<T>* head, int64_t first, int64_t last, float* sums, float* peaks, float* totals) {
        attend<T, G, PRODUCTS>(*head, first, last, sums, peaks, totals);
    }
};

template <typename T>
struct AttendAny {
    template <bool NATIVE>
    ATELIER_INLINE void run(const Head<T>* head, int64_t first, int64_t last, float* sums, float* peaks, float* totals) {
        attend_any(*head, first, last, sums, peaks, totals);
    }
};

// `count` query heads, at most four.
template <typename T>
void attend_group(int count, const Head<T>& head, int64_t first, int64_t last, float* sums, float* peaks,
                  float* totals) {
    if (head.dim % LANES != 0 || head.page_size != LANES) {
        for (int g = 0; g < count; g++) {
            Head<T> one = head;
            one.query += g * head.dim;
            run_best<AttendAny<T>>(const_cast<const Head<T>*>(&one), first, last, sums + g * head.dim, peaks + g,
                                   totals + g);
        }
        return;
    }
#if defined(__x86_64__)
    if constexpr (sizeof(T) == 2) {
        if (has_bf16() && head.dim % 32 == 0) {
            switch (count) {
                case 1: return run_avx512<Attend<T, 1, true>>(&head, first, last, sums, peaks, totals);
                case 2: return run_avx512<Attend<T, 2, true>>(&head, first, last, sums, peaks, totals);
                case 3: return run_avx512<Attend<T, 3, true>>(&head, first, last, sums, peaks, totals);
                default: return run_avx512<Attend<T, 4, true>>(&head, first, last, sums, peaks, totals);
            }
        }
    }
#endif
    switch (count) {
        case 1: return run_best<Attend<T, 1, false>>(&head, first, last, sums, peaks, totals);
        case 2: return run_best<Attend<T, 2, false>>(&head, first, last, sums, peaks, totals);
        case 3: return run_best<Attend<T, 3, false>>(&head, first, last, sums, peaks, totals);
        default: return run_best<Attend<T, 4, false>>(&head, first, last, sums, peaks, totals);
    }
}

template <typename T>
struct Plan {
    const AtelierAttention& call;
    int64_t group = call.heads / call.pages.kv_heads;
    int64_t parts = 1;
    // Of every part of every query head: the weighted sum of values, the peak score, the total weight.
    float* sums = nullptr;
    float* peaks = nullptr;
    float* totals = nullptr;

    // Part `part` of what kv head `kv` does in row `row`.
    void compute(int64_t row, int64_t kv, int64_t part) const {
        const AtelierPages& pages = call.pages;
        const int64_t dim = pages.head_dim;
        const int64_t count = (call.lengths[row] + pages.page_size - 1) / pages.page_size;
        const int64_t begin = count * part / parts * pages.page_size;
        const int64_t end = std::min(count * (part + 1) / parts * pages.page_size, call.lengths[row]);
        alignas(64) float own_sums[MOST_HEADS * MOST_DIM];
        float own_peaks[MOST_HEADS], own_totals[MOST_HEADS];
        for (int64_t g = 0; g < group; g += MOST_HEADS) {
            const int heads = static_cast<int>(std::min<int64_t>(MOST_HEADS, group - g));
            const int64_t first = kv * group + g;
            const Head<T> head{static_cast<const T*>(call.queries) + row * call.query_stride + first * dim,
                               static_cast<const T*>(pages.keys),
                               static_cast<const T*>(pages.values),
                               call.page_table + call.first_page[row],
                               pages.kv_heads,
                               kv,
                               dim,
                               pages.page_size,
                               call.scale};
            if (parts == 1) {
                attend_group(heads, head, begin, end, own_sums, own_peaks, own_totals);
                for (int h = 0; h < heads; h++) finish(row, first + h, own_sums + h * dim, own_totals[h]);
                continue;
            }
            // The parts of a head lie side by side.
            attend_group(heads, head, begin, end, own_sums, own_peaks, own_totals);
            for (int h = 0; h < heads; h++) {
                const int64_t at = (row * call.heads + first + h) * parts + part;
                std::copy_n(own_sums + h * dim, dim, sums + at * dim);
                peaks[at] = own_peaks[h];
                totals[at] = own_totals[h];
            }
        }
    }

    void merge(int64_t row, int64_t head) const {
        const int64_t dim = call.pages.head_dim, at = (row * call.heads + head) * parts;
        const float peak = *std::max_element(peaks + at, peaks + at + parts);
        float* merged = sums + at * dim;
        float total = 0.0f;
        for (int64_t part = 0; part < parts; part++) {
            const float weight = totals[at + part] > 0.0f ? std::exp(peaks[at + part] - peak) : 0.0f;
            total += weight * totals[at + part];
            const float* from = sums + (at + part) * dim;
            for (int64_t i = 0; i < dim; i++) merged[i] = (part == 0 ? 0.0f : merged[i]) + weight * from[i];
        }
        finish(row, head, merged, total);
    }

    void finish(int64_t row, int64_t head, const float* from, float total) const {
        const int64_t dim = call.pages.head_dim;
        T* to = static_cast<T*>(call.output) + (row * call.heads + head) * dim;
        const float factor = total > 0.0f ? 1.0f / total : 0.0f;
        for (int64_t i = 0; i < dim; i++) store(to + i, from[i] * factor);
    }
};

template <typename T>
void paged_attention(const AtelierAttention& call) {
    static thread_local Scratch scratch;
    Plan<T> plan{call};
    const int64_t kv_heads = call.pages.kv_heads, units = call.rows * kv_heads;
    const int64_t wanted = 4 * pool::threads();
    if (pool::threads() > 1 && units < wanted) {
        const int64_t longest = *std::max_element(call.lengths, call.lengths + call.rows);
        plan.parts = std::max<int64_t>(
            1, std::min((wanted + units - 1) / units, longest / (LEAST_PAGES * call.pages.page_size)));
    }
    if (plan.parts > 1) {
        const int64_t pieces = call.rows * call.heads * plan.parts;
        plan.sums = scratch.get<float>(pieces * (call.pages.head_dim + 2));
        plan.peaks = plan.sums + pieces * call.pages.head_dim;
        plan.totals = plan.peaks + pieces;
    }
    pool::each(units * plan.parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            const int64_t unit = i / plan.parts;
            // Rows of one sequence follow each other: what one of them read is still in the cache.
            plan.compute(unit % call.rows, unit / call.rows, i % plan.parts);
        }
    });
    if (plan.parts == 1) return;
    for (int64_t row = 0; row < call.rows; row++) {
        for (int64_t head = 0; head < call.heads; head++) plan.merge(row, head);
    }
}

}  // namespace
}  // namespace atelier

void atelier_paged_attention(const AtelierAttention* call) {
    using namespace atelier;
    if (call->rows == 0) return;
    if (call->pages.kind == KIND_F32) return paged_attention<float>(*call);
    paged_attention<bf16>(*call);
}
