#include "canvas.h"

#include <algorithm>
#include <cmath>

namespace edges {
namespace {

constexpr uint8_t kGapShade = 40;
constexpr double kGamma = 0.5;  // thin lines would fade in a small picture

// The mean of the pixels [x0, x1) by [y0, y1), 0..1.
double Mean(const ImageHeader& header, const uint8_t* pixels, int x0, int x1, int y0, int y1) {
  uint64_t sum = 0;
  for (int y = y0; y < y1; ++y) {
    const uint8_t* row = pixels + static_cast<size_t>(y) * static_cast<size_t>(header.stride);
    for (int x = x0; x < x1; ++x) sum += row[x];
  }
  return static_cast<double>(sum) / (255.0 * (x1 - x0) * (y1 - y0));
}

}  // namespace

Canvas::Canvas(int columns, int rows, int cell_width, int cell_height)
    : columns_(columns),
      rows_(rows),
      cell_width_(cell_width),
      cell_height_(cell_height),
      pixels_(3 * static_cast<size_t>(width()) * static_cast<size_t>(height()), kGapShade) {}

void Canvas::Draw(int cell, const ImageHeader& header, std::span<const std::byte> pixels, Colour colour) {
  const double scale = std::min({1.0, static_cast<double>(cell_width_) / header.width, static_cast<double>(cell_height_) / header.height});
  const int width = std::max(1, static_cast<int>(header.width * scale));
  const int height = std::max(1, static_cast<int>(header.height * scale));
  const int left = kGap + (cell % columns_) * (cell_width_ + kGap) + (cell_width_ - width) / 2;
  const int top = kGap + (cell / columns_) * (cell_height_ + kGap) + (cell_height_ - height) / 2;
  const auto* in = reinterpret_cast<const uint8_t*>(pixels.data());
  const auto edge = [](int i, int small, int large) { return static_cast<int>(static_cast<int64_t>(i) * large / small); };
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double mean = Mean(header, in, edge(x, width, header.width), edge(x + 1, width, header.width), edge(y, height, header.height),
                               edge(y + 1, height, header.height));
      const double shade = std::pow(mean, kGamma);
      std::transform(colour.begin(), colour.end(), At(left + x, top + y), [shade](uint8_t c) { return static_cast<uint8_t>(c * shade); });
    }
  }
}

}  // namespace edges
