#ifndef EDGES_PNG_PHOTO_H_
#define EDGES_PNG_PHOTO_H_
#include <png.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "file.h"
#include "photo.h"

namespace edges {

class PngPhoto : public Photo {
 public:
  static absl::StatusOr<std::unique_ptr<Photo>> Open(const std::string& path, File file);
  ~PngPhoto() override;
  absl::Status DecodeInto(std::span<std::byte> rgb) override;

 private:
  PngPhoto(std::string path, File file) : path_(std::move(path)), file_(std::move(file)) {}
  absl::Status Damaged() const;

  std::string path_;
  File file_;
  png_image png_{};
};

// Writes rows of red, green, blue bytes as a PNG. Readers see the old file or the new one, never a half.
absl::Status WritePng(const std::string& path, int width, int height, std::span<const std::byte> rgb);

}  // namespace edges
#endif  // EDGES_PNG_PHOTO_H_
