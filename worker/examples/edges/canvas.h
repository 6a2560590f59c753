#ifndef EDGES_CANVAS_H_
#define EDGES_CANVAS_H_
// A picture of small pictures in rows and columns.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "image.h"

namespace edges {

using Colour = std::array<uint8_t, 3>;

// Thread-compatible.
class Canvas {
 public:
  Canvas(int columns, int rows, int cell_width, int cell_height);

  int cells() const { return columns_ * rows_; }
  int width() const { return columns_ * (cell_width_ + kGap) + kGap; }
  int height() const { return rows_ * (cell_height_ + kGap) + kGap; }
  std::span<const std::byte> rgb() const { return std::as_bytes(std::span(pixels_)); }

  // Draws a grey picture, made smaller to fit, into a cell, in shades of `colour`.
  void Draw(int cell, const ImageHeader& header, std::span<const std::byte> pixels, Colour colour);

 private:
  static constexpr int kGap = 4;
  uint8_t* At(int x, int y) {
    return pixels_.data() + 3 * (static_cast<size_t>(y) * static_cast<size_t>(width()) + static_cast<size_t>(x));
  }

  int columns_, rows_, cell_width_, cell_height_;
  std::vector<uint8_t> pixels_;
};

}  // namespace edges
#endif  // EDGES_CANVAS_H_
