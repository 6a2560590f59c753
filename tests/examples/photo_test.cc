#include "worker/examples/edges/photo.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "worker/examples/edges/file.h"
#include "worker/examples/edges/png_photo.h"

// clang-format off
#include <jpeglib.h>  // after <cstdio>
// clang-format on

namespace edges {
namespace {

// A directory of this test's own.
class PhotoTest : public testing::Test {
 protected:
  PhotoTest() {
    std::string name = testing::TempDir() + "/photos.XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~PhotoTest() override { std::filesystem::remove_all(directory_); }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  // Red on its left half, blue on its right.
  static std::vector<std::byte> RedBlue(int width, int height) {
    std::vector<std::byte> rgb(static_cast<size_t>(width) * height * 3);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) rgb[(static_cast<size_t>(y) * width + x) * 3 + (x < width / 2 ? 0 : 2)] = std::byte(255);
    }
    return rgb;
  }
  void WriteJpeg(const std::string& name, int width, int height) const {
    const std::vector<std::byte> rgb = RedBlue(width, height);
    File file(std::fopen(Path(name).c_str(), "wb"));
    jpeg_error_mgr errors;
    jpeg_compress_struct jpeg{};
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file.get());
    jpeg.image_width = static_cast<JDIMENSION>(width);
    jpeg.image_height = static_cast<JDIMENSION>(height);
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
      auto* row = const_cast<JSAMPROW>(reinterpret_cast<const JSAMPLE*>(rgb.data()) + static_cast<size_t>(jpeg.next_scanline) * width * 3);
      jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
  }
  void WriteText(const std::string& name, const std::string& text) const { std::ofstream(Path(name)) << text; }
  static void ExpectRedBlue(Photo& photo) {
    std::vector<std::byte> rgb(photo.bytes());
    ASSERT_TRUE(photo.DecodeInto(rgb).ok());
    const auto at = [&](int x, int y, int channel) {
      return static_cast<int>(rgb[static_cast<size_t>(y) * photo.stride() + x * 3 + channel]);
    };
    EXPECT_GT(at(2, 2, 0), 200);
    EXPECT_LT(at(2, 2, 2), 60);
    EXPECT_GT(at(photo.width() - 3, photo.height() - 3, 2), 200);
    EXPECT_LT(at(photo.width() - 3, photo.height() - 3, 0), 60);
  }
  std::string directory_;
};

TEST_F(PhotoTest, AJpegIsDecodedInFullSize) {
  WriteJpeg("a.jpg", 64, 48);
  auto photo = Photo::Open(Path("a.jpg"));
  ASSERT_TRUE(photo.ok()) << photo.status();
  EXPECT_EQ((*photo)->width(), 64);
  EXPECT_EQ((*photo)->height(), 48);
  ExpectRedBlue(**photo);
}

TEST_F(PhotoTest, APngIsDecodedInFullSize) {
  ASSERT_TRUE(WritePng(Path("a.png"), 30, 20, RedBlue(30, 20)).ok());
  auto photo = Photo::Open(Path("a.png"));
  ASSERT_TRUE(photo.ok()) << photo.status();
  EXPECT_EQ((*photo)->bytes(), 30u * 20 * 3);
  ExpectRedBlue(**photo);
}

TEST_F(PhotoTest, TheKindIsToldByContentNotByName) {
  WriteJpeg("really_a_jpeg.png", 16, 16);
  auto photo = Photo::Open(Path("really_a_jpeg.png"));
  ASSERT_TRUE(photo.ok()) << photo.status();
  ExpectRedBlue(**photo);
}

TEST_F(PhotoTest, ADamagedHeadIsDataLossThatNamesTheFile) {
  WriteText("bad.jpg", "\xFF\xD8\xFF nothing of worth follows");
  const auto photo = Photo::Open(Path("bad.jpg"));
  EXPECT_EQ(photo.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(std::string(photo.status().message()).find("bad.jpg"), std::string::npos);
}

TEST_F(PhotoTest, APngThatIsCutShortIsDataLoss) {
  ASSERT_TRUE(WritePng(Path("a.png"), 300, 200, RedBlue(300, 200)).ok());
  std::filesystem::resize_file(Path("a.png"), 100);
  auto photo = Photo::Open(Path("a.png"));
  ASSERT_TRUE(photo.ok()) << photo.status();
  std::vector<std::byte> rgb((*photo)->bytes());
  EXPECT_EQ((*photo)->DecodeInto(rgb).code(), absl::StatusCode::kDataLoss);
}

TEST_F(PhotoTest, TooLittleRoomIsRefusedBeforeAnythingIsWritten) {
  WriteJpeg("a.jpg", 16, 16);
  auto photo = Photo::Open(Path("a.jpg"));
  ASSERT_TRUE(photo.ok());
  std::vector<std::byte> rgb((*photo)->bytes() - 1);
  EXPECT_EQ((*photo)->DecodeInto(rgb).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PhotoTest, WhatIsNoPhotographIsRefused) {
  WriteText("a.jpg", "text");
  EXPECT_EQ(Photo::Open(Path("a.jpg")).status().code(), absl::StatusCode::kInvalidArgument);
  WriteText("empty.png", "");
  EXPECT_EQ(Photo::Open(Path("empty.png")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Photo::Open(Path("absent.jpg")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PhotoTest, ADirectoryIsListedInOrderAndByExtension) {
  for (const char* name : {"b.PNG", "a.jpg", "c.jpeg", "notes.txt"}) WriteText(name, "");
  EXPECT_EQ(*ListPhotos(directory_), (std::vector<std::string>{Path("a.jpg"), Path("b.PNG"), Path("c.jpeg")}));
}

TEST_F(PhotoTest, ADirectoryWithoutPhotographsIsNotFound) {
  EXPECT_EQ(ListPhotos(directory_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ListPhotos(Path("absent")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PhotoTest, APictureIsReplacedAsAWhole) {
  ASSERT_TRUE(WritePng(Path("a.png"), 10, 10, RedBlue(10, 10)).ok());
  ASSERT_TRUE(WritePng(Path("a.png"), 20, 10, RedBlue(20, 10)).ok());
  EXPECT_EQ((*Photo::Open(Path("a.png")))->width(), 20);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1) << "no unfinished file stays";
  EXPECT_EQ(WritePng(Path("absent/a.png"), 10, 10, RedBlue(10, 10)).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace edges
