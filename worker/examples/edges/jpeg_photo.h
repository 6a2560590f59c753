#ifndef EDGES_JPEG_PHOTO_H_
#define EDGES_JPEG_PHOTO_H_
#include <memory>
#include <string>

#include "file.h"
#include "photo.h"

namespace edges {

absl::StatusOr<std::unique_ptr<Photo>> OpenJpeg(const std::string& path, File file);

}  // namespace edges
#endif  // EDGES_JPEG_PHOTO_H_
