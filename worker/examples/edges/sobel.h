#ifndef EDGES_SOBEL_H_
#define EDGES_SOBEL_H_
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "image.h"

namespace edges {

// Marks the edges of a picture. Thread-compatible; keeps three rows of working memory between calls.
class Sobel {
 public:
  // Writes one byte per pixel into `out` (width * height): 255 where the gradient of brightness is above `threshold`
  // (0: the least, 1: from black to white), else 0. `header` fits `pixels`. The border has no edges.
  void Find(const ImageHeader& header, std::span<const std::byte> pixels, double threshold, std::span<std::byte> out);

 private:
  std::vector<int16_t> rows_;  // brightness of the row above, this row, and the row below
};

}  // namespace edges
#endif  // EDGES_SOBEL_H_
