#include "worker/examples/edges/canvas.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace edges {
namespace {

constexpr Colour kGreen = {0, 255, 0};

int GreenPixels(const Canvas& canvas) {
  int count = 0;
  const auto rgb = canvas.rgb();
  for (size_t i = 0; i + 2 < rgb.size(); i += 3)
    count += rgb[i] == std::byte(0) && rgb[i + 1] == std::byte(255) && rgb[i + 2] == std::byte(0);
  return count;
}

TEST(Canvas, DrawsAPictureThatFillsItsCellAndNothingElse) {
  Canvas canvas(3, 2, 40, 20);
  const std::vector<std::byte> white(400 * 200, std::byte(255));
  canvas.Draw(4, {.width = 400, .height = 200, .stride = 400, .channels = 1}, white, kGreen);
  EXPECT_EQ(GreenPixels(canvas), 40 * 20);
}

TEST(Canvas, KeepsThePicturesShape) {
  Canvas canvas(1, 1, 40, 20);
  const std::vector<std::byte> white(100 * 200, std::byte(255));
  canvas.Draw(0, {.width = 100, .height = 200, .stride = 100, .channels = 1}, white, kGreen);
  EXPECT_EQ(GreenPixels(canvas), 10 * 20);
}

TEST(Canvas, TakesPicturesOfAnySizeInEveryCell) {
  Canvas canvas(2, 2, 16, 16);
  for (int size : {1, 2, 3, 15, 16, 17, 1000}) {
    const std::vector<std::byte> white(static_cast<size_t>(size) * 3, std::byte(255));
    for (int cell = 0; cell < canvas.cells(); ++cell) {
      canvas.Draw(cell, {.width = size, .height = 3, .stride = size, .channels = 1}, white, kGreen);
      canvas.Draw(cell, {.width = 3, .height = size, .stride = 3, .channels = 1}, white, kGreen);
    }
  }
  EXPECT_GT(GreenPixels(canvas), 0);
}

}  // namespace
}  // namespace edges
