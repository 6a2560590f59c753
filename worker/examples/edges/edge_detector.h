#ifndef EDGES_EDGE_DETECTOR_H_
#define EDGES_EDGE_DETECTOR_H_
// Finds the edges of each frame: the frame is read where the loader wrote it, the edges are written where the next task reads them.
#include <puma/module.h>

#include "image.h"
#include "shared_memory.h"
#include "sobel.h"

namespace edges {

class EdgeDetector : public puma::Runnable {
 public:
  explicit EdgeDetector(puma::Setup& setup);
  absl::Status SetThreshold(double threshold);
  double GetThreshold() { return threshold_; }

 private:
  absl::Status OnStart() override { return SetThreshold(threshold_); }
  absl::Status OnFrame(const Image& frame, const puma::Message& message);

  double threshold_;
  puma::Output<Edges> edges_;
  Sobel sobel_;
  SharedMemory shared_;
};

}  // namespace edges
#endif  // EDGES_EDGE_DETECTOR_H_
