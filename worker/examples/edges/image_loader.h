#ifndef EDGES_IMAGE_LOADER_H_
#define EDGES_IMAGE_LOADER_H_
// Reads the photographs of a directory, over and over, and publishes each as one full-size frame, decoded straight into the buffer.
#include <puma/module.h>

#include <memory>
#include <string>
#include <vector>

#include "image.h"
#include "photo.h"
#include "shared_memory.h"

namespace edges {

class ImageLoader : public puma::Runnable {
 public:
  explicit ImageLoader(puma::Setup& setup);

 private:
  absl::Status OnStart() override;
  absl::Status Execute() override;
  // False: stop was asked for while it waited.
  bool WaitUntil(absl::Time when);
  // The photograph for the next frame. A file that can't be read is named in the log and left out from then on.
  absl::StatusOr<std::unique_ptr<Photo>> NextPhoto();
  // CANCELLED: stop was asked for. DATA_LOSS: the photograph is damaged; nothing was published.
  absl::Status PublishFrame(Photo& photo);
  absl::Status DecodeInto(puma::Loan<Image>& loan, Photo& photo);

  std::string directory_;
  std::string rate_;
  uint64_t total_;
  puma::Output<Image> frames_;
  absl::Duration period_;
  std::vector<std::string> paths_;
  size_t next_path_ = 0;
  uint64_t number_ = 0;
  SharedMemory shared_;
};

}  // namespace edges
#endif  // EDGES_IMAGE_LOADER_H_
