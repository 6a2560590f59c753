#include "png_photo.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace edges {

absl::StatusOr<std::unique_ptr<Photo>> PngPhoto::Open(const std::string& path, File file) {
  std::unique_ptr<PngPhoto> photo(new PngPhoto(path, std::move(file)));
  photo->png_.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_stdio(&photo->png_, photo->file_.get()) == 0) return photo->Damaged();
  photo->png_.format = PNG_FORMAT_RGB;
  photo->width_ = static_cast<int>(photo->png_.width);
  photo->height_ = static_cast<int>(photo->png_.height);
  return photo;
}

PngPhoto::~PngPhoto() { png_image_free(&png_); }

absl::Status PngPhoto::DecodeInto(std::span<std::byte> rgb) {
  if (rgb.size() < bytes()) return absl::InvalidArgumentError("photograph: too little room for its pixels");
  const png_color behind_transparent_pixels = {0, 0, 0};
  if (png_image_finish_read(&png_, &behind_transparent_pixels, rgb.data(), stride(), nullptr) == 0) return Damaged();
  return absl::OkStatus();
}

absl::Status PngPhoto::Damaged() const { return absl::DataLossError(absl::StrCat("photograph ", path_, ": ", png_.message)); }

absl::Status WritePng(const std::string& path, int width, int height, std::span<const std::byte> rgb) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(width);
  png.height = static_cast<png_uint_32>(height);
  png.format = PNG_FORMAT_RGB;
  const std::string unfinished = path + ".part";
  if (png_image_write_to_file(&png, unfinished.c_str(), 0, rgb.data(), width * 3, nullptr) == 0) {
    return absl::UnavailableError(absl::StrCat("picture ", unfinished, ": ", png.message));
  }
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("picture ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace edges
