#ifndef EDGES_PHOTO_H_
#define EDGES_PHOTO_H_
// A photograph in a file: its size is known, its pixels are not decoded yet, so that they can be decoded right where they are needed.
#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace edges {

// Thread-compatible.
class Photo {
 public:
  // Reads the head of a JPEG or PNG file; its kind is told by its first bytes, not by its name. NOT_FOUND: no such file;
  // INVALID_ARGUMENT: neither JPEG nor PNG; DATA_LOSS: damaged.
  static absl::StatusOr<std::unique_ptr<Photo>> Open(const std::string& path);
  virtual ~Photo() = default;
  Photo(const Photo&) = delete;
  Photo& operator=(const Photo&) = delete;

  int width() const { return width_; }
  int height() const { return height_; }
  int stride() const { return width_ * 3; }
  size_t bytes() const { return static_cast<size_t>(stride()) * static_cast<size_t>(height_); }

  // Decodes all pixels into `rgb`, which is at least bytes() long. Once. DATA_LOSS: damaged.
  virtual absl::Status DecodeInto(std::span<std::byte> rgb) = 0;

 protected:
  Photo() = default;
  int width_ = 0;
  int height_ = 0;
};

// The paths of the .jpg, .jpeg and .png files in `directory`, sorted. NOT_FOUND: no such directory, or none in it.
absl::StatusOr<std::vector<std::string>> ListPhotos(const std::string& directory);

}  // namespace edges
#endif  // EDGES_PHOTO_H_
