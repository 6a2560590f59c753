#include "edge_detector.h"

#include <absl/strings/str_cat.h>

namespace edges {

EdgeDetector::EdgeDetector(puma::Setup& setup)
    : threshold_(setup.Param("threshold", 0.2, "gradient above which a pixel is an edge, 0..1")), edges_(setup.Output<Edges>("edges")) {
  setup.Input("frames", &EdgeDetector::OnFrame);
  setup.Command("set_threshold", &EdgeDetector::SetThreshold, {"threshold"}, "from the next frame on; 0..1");
  setup.Command("get_threshold", &EdgeDetector::GetThreshold, "the threshold in use");
}

absl::Status EdgeDetector::SetThreshold(double threshold) {
  if (!(threshold >= 0 && threshold <= 1)) return puma::InvalidArgument(absl::StrCat("threshold ", threshold, " is not in 0..1"));
  threshold_ = threshold;
  log().info("threshold is {}", threshold);
  return absl::OkStatus();
}

absl::Status EdgeDetector::OnFrame(const Image& frame, const puma::Message& message) {
  if (!Fits(frame.header(), frame.bytes().size())) return puma::InvalidArgument("a frame with more pixels in its header than in its bytes");
  if (message.delivery > 1) log().warn("frame {} comes again, delivery {}", frame->number, message.delivery);
  const size_t pixels = static_cast<size_t>(frame->width) * static_cast<size_t>(frame->height);
  PUMA_ASSIGN_OR_RETURN(auto edges, edges_.Loan(pixels, puma::kInfinite));
  EdgesHeader& header = *edges.operator->();
  header = {.image = frame.header(), .threshold = threshold_};
  name().copy(header.detector, sizeof(header.detector));
  header.image.stride = frame->width;
  header.image.channels = 1;
  header.image.copied_bytes += shared_.Copied(frame.bytes()) + shared_.Copied(edges.bytes());
  sobel_.Find(frame.header(), frame.bytes(), threshold_, edges.bytes());
  return edges.Publish();
}

}  // namespace edges
