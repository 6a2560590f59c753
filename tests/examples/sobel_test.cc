#include "worker/examples/edges/sobel.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace edges {
namespace {

// A picture given by its brightness at each place, with `channels` equal channels and rows longer than needed.
struct Picture {
  Picture(int width, int height, int channels, uint8_t (*at)(int x, int y)) {
    header = {.width = width, .height = height, .stride = width * channels + 5, .channels = channels};
    pixels.assign(static_cast<size_t>(header.stride) * height, std::byte(0xEE));
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width * channels; ++x) pixels[static_cast<size_t>(y) * header.stride + x] = std::byte(at(x / channels, y));
    }
  }
  std::vector<std::byte> Edges(double threshold) const {
    std::vector<std::byte> out(static_cast<size_t>(header.width) * header.height, std::byte(7));
    Sobel().Find(header, pixels, threshold, out);
    return out;
  }
  ImageHeader header;
  std::vector<std::byte> pixels;
};

int Marked(const std::vector<std::byte>& edges) { return static_cast<int>(std::count(edges.begin(), edges.end(), std::byte(255))); }

TEST(Sobel, AnEvenPictureHasNoEdges) {
  const Picture even(9, 7, 3, [](int, int) -> uint8_t { return 200; });
  EXPECT_EQ(even.Edges(0), std::vector<std::byte>(9 * 7, std::byte(0)));
}

TEST(Sobel, AStepFromBlackToWhiteIsAnEdgeOnBothItsSides) {
  for (int channels : {1, 3}) {
    const Picture step(8, 5, channels, [](int x, int) -> uint8_t { return x < 4 ? 0 : 255; });
    const std::vector<std::byte> edges = step.Edges(0.9);
    for (int y = 1; y < 4; ++y) {
      for (int x = 0; x < 8; ++x)
        EXPECT_EQ(edges[y * 8 + x], std::byte(x == 3 || x == 4 ? 255 : 0)) << x << "," << y << " channels " << channels;
    }
    EXPECT_EQ(Marked(edges), 6) << "the border has no edges";
  }
}

TEST(Sobel, AHigherThresholdMarksLess) {
  const Picture slope(64, 8, 3, [](int x, int) -> uint8_t { return static_cast<uint8_t>(x * x / 16); });
  EXPECT_GT(Marked(slope.Edges(0.01)), Marked(slope.Edges(0.05)));
  EXPECT_EQ(Marked(slope.Edges(1)), 0);
}

TEST(Sobel, TinyPicturesHaveNoEdgesAndAreFilled) {
  for (int size : {1, 2}) {
    const Picture tiny(size, size, 3, [](int x, int) -> uint8_t { return x == 0 ? 0 : 255; });
    EXPECT_EQ(tiny.Edges(0), std::vector<std::byte>(static_cast<size_t>(size) * size, std::byte(0)));
  }
}

TEST(Image, AHeaderThatPromisesMoreThanThereIsDoesNotFit) {
  ImageHeader header = {.width = 4, .height = 3, .stride = 12, .channels = 3};
  EXPECT_TRUE(Fits(header, 36));
  EXPECT_FALSE(Fits(header, 35));
  header.stride = 11;
  EXPECT_FALSE(Fits(header, 36)) << "a row is longer than its stride";
  EXPECT_FALSE(Fits({}, 36));
}

}  // namespace
}  // namespace edges
