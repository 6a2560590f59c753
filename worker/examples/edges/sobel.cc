#include "sobel.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace edges {
namespace {

// Brightness as the eye weighs it (ITU-R BT.601), 0..255.
void Brightness(const ImageHeader& header, const uint8_t* pixels, int16_t* out) {
  if (header.channels < 3) {
    for (int x = 0; x < header.width; ++x) out[x] = pixels[static_cast<ptrdiff_t>(x) * header.channels];
    return;
  }
  for (int x = 0; x < header.width; ++x) {
    const uint8_t* p = pixels + static_cast<ptrdiff_t>(x) * header.channels;
    out[x] = static_cast<int16_t>((77 * p[0] + 150 * p[1] + 29 * p[2]) >> 8);
  }
}

// Where |horizontal| + |vertical| gradient is above `limit`.
void MarkRow(const int16_t* above, const int16_t* here, const int16_t* below, int width, int limit, uint8_t* out) {
  for (int x = 1; x < width - 1; ++x) {
    const int horizontal = (above[x + 1] - above[x - 1]) + 2 * (here[x + 1] - here[x - 1]) + (below[x + 1] - below[x - 1]);
    const int vertical = (below[x - 1] - above[x - 1]) + 2 * (below[x] - above[x]) + (below[x + 1] - above[x + 1]);
    out[x] = std::abs(horizontal) + std::abs(vertical) > limit ? 255 : 0;
  }
  out[0] = out[width - 1] = 0;
}

}  // namespace

void Sobel::Find(const ImageHeader& header, std::span<const std::byte> pixels, double threshold, std::span<std::byte> out) {
  const size_t width = static_cast<size_t>(header.width);
  const size_t stride = static_cast<size_t>(header.stride);
  const int limit = static_cast<int>(std::clamp(threshold, 0.0, 1.0) * 4 * 255);  // a step from black to white along one axis
  const auto* in = reinterpret_cast<const uint8_t*>(pixels.data());
  auto* marks = reinterpret_cast<uint8_t*>(out.data());
  std::memset(marks, 0, width);
  if (header.height < 3 || header.width < 3) {
    std::memset(marks, 0, width * static_cast<size_t>(header.height));
    return;
  }
  rows_.resize(3 * width);
  int16_t* above = rows_.data();
  int16_t* here = above + width;
  int16_t* below = here + width;
  Brightness(header, in, above);
  Brightness(header, in + stride, here);
  const size_t last = static_cast<size_t>(header.height) - 1;
  for (size_t y = 1; y < last; ++y) {
    Brightness(header, in + (y + 1) * stride, below);
    MarkRow(above, here, below, header.width, limit, marks + y * width);
    std::swap(above, here);  // here becomes above, below becomes here
    std::swap(here, below);
  }
  std::memset(marks + last * width, 0, width);
}

}  // namespace edges
