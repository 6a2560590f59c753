#ifndef EDGES_IMAGE_H_
#define EDGES_IMAGE_H_
// What travels through the buffers: a fixed header, then the pixels, both in shared memory.
#include <puma/buffer.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace edges {

// Values only: a header is read by other processes, where a pointer would mean nothing.
struct ImageHeader {
  uint64_t number = 0;        // counts frames from 0; the same number twice is the same frame, delivered again
  uint64_t total = 0;         // how many frames there will be; 0: no end is planned
  uint64_t copied_bytes = 0;  // bytes of this frame that a task had to copy on its way here; 0: written and read in place
  int32_t width = 0;
  int32_t height = 0;
  int32_t stride = 0;    // bytes from one row to the next
  int32_t channels = 0;  // 3: red, green, blue; 1: grey
};
using Image = puma::Block<ImageHeader>;

struct EdgesHeader {
  ImageHeader image;       // channels = 1; 255 is an edge, 0 is none
  double threshold = 0;    // that these edges were found with
  char detector[48] = {};  // the task that found them; cut to fit
};
using Edges = puma::Block<EdgesHeader>;

inline std::string_view Detector(const EdgesHeader& header) { return {header.detector, strnlen(header.detector, sizeof(header.detector))}; }

// False: the header promises more pixels than there are bytes, or none at all.
inline bool Fits(const ImageHeader& header, size_t pixel_bytes) {
  return header.width > 0 && header.height > 0 && header.channels > 0 && header.stride >= header.width * header.channels &&
         static_cast<size_t>(header.stride) * static_cast<size_t>(header.height) <= pixel_bytes;
}

}  // namespace edges
#endif  // EDGES_IMAGE_H_
