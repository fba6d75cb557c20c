// Root mean square norm of one vector.
#pragma once

#include <cmath>

#include "lanes.h"

namespace atelier {

template <bool NATIVE, typename I, typename W, typename O>
ATELIER_INLINE void rms_norm(const I* input, const W* weight, O* output, int64_t width, float epsilon) {
    Floats squares{};
    float rest = 0.0f;
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        Floats x;
        get(x, input + i);
        squares += x * x;
    }
    for (; i < width; i++) rest += load(input + i) * load(input + i);
    const float mean = (sum(squares) + rest) / static_cast<float>(width);
    const float factor = 1.0f / std::sqrt(mean + epsilon);
    for (i = 0; i + LANES <= width; i += LANES) {
        Floats x, w;
        get(x, input + i);
        get(w, weight + i);
        put<NATIVE>(output + i, x * factor * w);
    }
    for (; i < width; i++) store(output + i, load(input + i) * factor * load(weight + i));
}

}  // namespace atelier
