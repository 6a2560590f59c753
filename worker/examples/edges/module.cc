// The module's only entry: which types it offers.
#include <puma/module.h>

#include "contact_sheet.h"
#include "edge_detector.h"
#include "image_loader.h"

PUMA_MODULE(edges) {
  module.Add<edges::ImageLoader>("ImageLoader");
  module.Add<edges::EdgeDetector>("EdgeDetector");
  module.Add<edges::ContactSheet>("ContactSheet");
}
