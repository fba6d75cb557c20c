// How packed matrices lie in memory.
//
// Sixteen rows of a matrix make a tile, 32 columns a group; a tile's groups lie one after another,
// then comes the next tile. A matrix whose rows are no multiple of 16 is padded with zero rows. In a
// group, lane l (row l of the tile) and column k:
//
// INT4         line j (64 bytes) has columns 8j..8j+8: word 2l+e, nibble s is column 8j+2s+e; then 16
//              halves d, 16 halves m. w = d q + m, q in 0..=15.
// INT8         line j has columns 4j..4j+4: in 16-byte part p, byte i<8 is column 4j+i%2 of lane
//              4p+i/2, byte 8+i column 4j+2+i%2. A byte is sign and magnitude. Then 16 halves d, 16
//              halves m. w = d q + m, q in -127..=127.
// INT8_HALVES  as INT8, then 16 halves d for the first 16 columns and 16 for the others. w = d q.
// BF16         line p has word 2l+e for column 2p+e.
#pragma once

#include <cstdint>

namespace atelier {

enum Format : int32_t { INT4 = 0, INT8 = 1, INT8_HALVES = 2, BF16 = 3 };

constexpr int64_t TILE = 16;
constexpr int64_t GROUP = 32;

constexpr int64_t block_bytes(int32_t format) { return format == INT4 ? 320 : format == BF16 ? 1024 : 576; }

}  // namespace atelier
