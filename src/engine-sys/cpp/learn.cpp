// What a block does between its products when it is trained. One pass over the numbers each, where libtorch's operators
// take several and keep what is between them.
#include "learn.h"

#include <cmath>
#include <cstring>

#include "pool.h"
#include "targets.h"

namespace atelier::learn {
namespace {

template <typename T>
struct Norm {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* input, const T* weight, T* output, float* factor, int64_t width, float epsilon) {
        Floats squares{};
        float rest = 0.0f;
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            Floats x;
            get(x, input + i);
            squares += x * x;
        }
        for (; i < width; i++) rest += load(input + i) * load(input + i);
        const float f = 1.0f / std::sqrt((sum(squares) + rest) / static_cast<float>(width) + epsilon);
        for (i = 0; i + LANES <= width; i += LANES) {
            Floats x, w;
            get(x, input + i);
            get(w, weight + i);
            put<NATIVE>(output + i, x * f * w);
        }
        for (; i < width; i++) store(output + i, load(input + i) * f * load(weight + i));
        *factor = f;
    }
};

template <typename T>
struct NormBack {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* input, const T* weight, const T* gradient, float factor, T* result,
                            int64_t width) {
        Floats products{};
        float rest = 0.0f;
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            Floats x, w, g;
            get(x, input + i);
            get(w, weight + i);
            get(g, gradient + i);
            products += g * w * x;
        }
        for (; i < width; i++) rest += load(gradient + i) * load(weight + i) * load(input + i);
        const float pull = (sum(products) + rest) * factor * factor / static_cast<float>(width);
        for (i = 0; i + LANES <= width; i += LANES) {
            Floats x, w, g;
            get(x, input + i);
            get(w, weight + i);
            get(g, gradient + i);
            put<NATIVE>(result + i, (g * w - x * pull) * factor);
        }
        for (; i < width; i++) {
            const float g = load(gradient + i) * load(weight + i);
            store(result + i, (g - load(input + i) * pull) * factor);
        }
    }
};

// Columns, so that each sum is added up in the order of its rows by whichever thread.
template <typename T>
struct NormWeightBack {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* input, const T* gradient, const float* factors, float* result, int64_t rows,
                            int64_t width, int64_t begin, int64_t end) {
        int64_t i = begin;
        for (; i + LANES <= end; i += LANES) {
            Floats sums{};
            for (int64_t row = 0; row < rows; row++) {
                Floats x, g;
                get(x, input + row * width + i);
                get(g, gradient + row * width + i);
                sums += g * x * factors[row];
            }
            put<NATIVE>(result + i, sums);
        }
        for (; i < end; i++) {
            float sum = 0.0f;
            for (int64_t row = 0; row < rows; row++) {
                sum += load(gradient + row * width + i) * load(input + row * width + i) * factors[row];
            }
            result[i] = sum;
        }
    }
};

template <typename T>
struct GateBack {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* gate, const T* up, const T* gradient, T* gate_result, T* up_result,
                            int64_t width) {
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            Floats x, u, g;
            get(x, gate + i);
            get(u, up + i);
            get(g, gradient + i);
            // e^-x overflows below -88; the sigmoid is as good as zero there.
            const Floats low = Floats{} - 88.0f;
            Floats e = x < low ? -low : -x;
            exponential(e);
            const Floats sigmoid = 1.0f / (e + 1.0f);
            const Floats silu = x < low ? Floats{} : x * sigmoid;
            put<NATIVE>(gate_result + i, g * u * (sigmoid + silu * (1.0f - sigmoid)));
            put<NATIVE>(up_result + i, g * silu);
        }
        for (; i < width; i++) {
            const float x = load(gate + i), g = load(gradient + i);
            const float sigmoid = 1.0f / (1.0f + std::exp(-x)), silu = x * sigmoid;
            store(gate_result + i, g * load(up + i) * (sigmoid + silu * (1.0f - sigmoid)));
            store(up_result + i, g * silu);
        }
    }
};

// The sum of `count` neighbouring heads, rotated.
template <typename T>
struct Rotate {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* from, int64_t count, T* to, const float* cosines, const float* sines,
                            int64_t half, float way) {
        int64_t i = 0;
        for (; i + LANES <= half; i += LANES) {
            Floats a{}, b{}, c, s;
            for (int64_t head = 0; head < count; head++) {
                Floats x;
                get(x, from + 2 * head * half + i);
                a += x;
                get(x, from + (2 * head + 1) * half + i);
                b += x;
            }
            get(c, cosines + i);
            get(s, sines + i);
            s *= way;
            put<NATIVE>(to + i, a * c - b * s);
            put<NATIVE>(to + half + i, b * c + a * s);
        }
        for (; i < half; i++) {
            float a = 0.0f, b = 0.0f;
            for (int64_t head = 0; head < count; head++) {
                a += load(from + 2 * head * half + i);
                b += load(from + (2 * head + 1) * half + i);
            }
            const float s = sines[i] * way;
            store(to + i, a * cosines[i] - b * s);
            store(to + half + i, b * cosines[i] + a * s);
        }
    }
};

template <typename T>
struct Sum {
    template <bool NATIVE>
    ATELIER_INLINE void run(const T* from, int64_t count, T* to, int64_t dim) {
        int64_t i = 0;
        for (; i + LANES <= dim; i += LANES) {
            Floats sum{};
            for (int64_t head = 0; head < count; head++) {
                Floats x;
                get(x, from + head * dim + i);
                sum += x;
            }
            put<NATIVE>(to + i, sum);
        }
        for (; i < dim; i++) {
            float sum = 0.0f;
            for (int64_t head = 0; head < count; head++) sum += load(from + head * dim + i);
            store(to + i, sum);
        }
    }
};

template <typename F>
void each_row(int64_t rows, int64_t width, const F& f) {
    pool::each(rows, rows_worth_a_thread(width), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) f(row);
    });
}

template <typename T>
void split(const Heads& call, const T* input, T* queries, T* keys, T* values) {
    const int64_t dim = call.dim, half = dim / 2, group = call.heads / call.kv_heads;
    const int64_t width = (call.heads + 2 * call.kv_heads) * dim, wide = call.heads * dim;
    each_row(call.rows, width, [&](int64_t row) {
        const T* head = input + row * width;
        const float *cosines = call.cosines + row * half, *sines = call.sines + row * half;
        for (int64_t h = 0; h < call.heads; h++, head += dim) {
            run_best<Rotate<T>>(head, int64_t{1}, queries + row * wide + h * dim, cosines, sines, half, 1.0f);
        }
        for (int64_t h = 0; h < call.kv_heads; h++, head += dim) {
            T* to = keys + row * wide + h * group * dim;
            run_best<Rotate<T>>(head, int64_t{1}, to, cosines, sines, half, 1.0f);
            for (int64_t copy = 1; copy < group; copy++) std::memcpy(to + copy * dim, to, dim * sizeof(T));
        }
        for (int64_t h = 0; h < call.heads; h++) {
            std::memcpy(values + row * wide + h * dim, head + h / group * dim, dim * sizeof(T));
        }
    });
}

template <typename T>
void split_back(const Heads& call, const T* queries, const T* keys, const T* values, T* result) {
    const int64_t dim = call.dim, half = dim / 2, group = call.heads / call.kv_heads;
    const int64_t width = (call.heads + 2 * call.kv_heads) * dim, wide = call.heads * dim;
    each_row(call.rows, width, [&](int64_t row) {
        T* head = result + row * width;
        const float *cosines = call.cosines + row * half, *sines = call.sines + row * half;
        for (int64_t h = 0; h < call.heads; h++, head += dim) {
            run_best<Rotate<T>>(queries + row * wide + h * dim, int64_t{1}, head, cosines, sines, half, -1.0f);
        }
        for (int64_t h = 0; h < call.kv_heads; h++, head += dim) {
            run_best<Rotate<T>>(keys + row * wide + h * group * dim, group, head, cosines, sines, half, -1.0f);
        }
        for (int64_t h = 0; h < call.kv_heads; h++, head += dim) {
            run_best<Sum<T>>(values + row * wide + h * group * dim, group, head, dim);
        }
    });
}

template <typename F>
void by_kind(int32_t kind, const F& f) {
    if (kind == KIND_F32) return f(float{});
    f(bf16{});
}

}  // namespace

void norm(int32_t kind, const void* input, const void* weight, void* output, float* factors, int64_t rows,
          int64_t width, float epsilon) {
    by_kind(kind, [&](auto one) {
        using T = decltype(one);
        each_row(rows, width, [&](int64_t row) {
            run_best<Norm<T>>(static_cast<const T*>(input) + row * width, static_cast<const T*>(weight),
                              static_cast<T*>(output) + row * width, factors + row, width, epsilon);
        });
    });
}

void norm_back(int32_t kind, const void* input, const void* weight, const void* gradient, const float* factors,
               void* result, int64_t rows, int64_t width) {
    by_kind(kind, [&](auto one) {
        using T = decltype(one);
        each_row(rows, width, [&](int64_t row) {
            run_best<NormBack<T>>(static_cast<const T*>(input) + row * width, static_cast<const T*>(weight),
                                  static_cast<const T*>(gradient) + row * width, factors[row],
                                  static_cast<T*>(result) + row * width, width);
        });
    });
}

void norm_weight_back(int32_t kind, const void* input, const void* gradient, const float* factors, float* result,
                      int64_t rows, int64_t width) {
    by_kind(kind, [&](auto one) {
        using T = decltype(one);
        pool::each(width, 2 * LANES, [&](int64_t begin, int64_t end) {
            run_best<NormWeightBack<T>>(static_cast<const T*>(input), static_cast<const T*>(gradient), factors, result,
                                        rows, width, begin, end);
        });
    });
}

void gate_back(int32_t kind, const void* gate_up, const void* gradient, void* result, int64_t rows, int64_t width) {
    by_kind(kind, [&](auto one) {
        using T = decltype(one);
        each_row(rows, 2 * width, [&](int64_t row) {
            const T* gate = static_cast<const T*>(gate_up) + 2 * row * width;
            T* to = static_cast<T*>(result) + 2 * row * width;
            run_best<GateBack<T>>(gate, gate + width, static_cast<const T*>(gradient) + row * width, to, to + width,
                                  width);
        });
    });
}

void split(int32_t kind, const Heads& heads, const void* input, void* queries, void* keys, void* values) {
    by_kind(kind, [&](auto one) {
        using T = decltype(one);
        split(heads, static_cast<const T*>(input), static_cast<T*>(queries), static_cast<T*>(keys),
              static_cast<T*>(values));
    });
}

void split_back(int32_t kind, const Heads& heads, const void* queries, const void* keys, const void* values,
                void* result) {
    by_kind(kind, [&](auto one) {
        using T = decltype(one);
        split_back(heads, static_cast<const T*>(queries), static_cast<const T*>(keys), static_cast<const T*>(values),
                   static_cast<T*>(result));
    });
}

}  // namespace atelier::learn
