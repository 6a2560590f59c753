#ifndef EDGES_CONTACT_SHEET_H_
#define EDGES_CONTACT_SHEET_H_
// The end of the pipeline: counts what arrives and draws some of it on one sheet. A colour for each detector; a frame that came twice is
// red.
#include <puma/module.h>

#include <map>
#include <optional>
#include <string>

#include "canvas.h"
#include "image.h"
#include "shared_memory.h"
#include "tally.h"

namespace edges {

class ContactSheet : public puma::Runnable {
 public:
  explicit ContactSheet(puma::Setup& setup);

 private:
  absl::Status OnStart() override;
  absl::Status Execute() override;                    // as ever, and writes the files at the end
  absl::Status OnTick(puma::Timestamp now) override;  // writes them as they are by now
  absl::Status OnEdges(const Edges& edges, const puma::Message& message);
  absl::Status WritePicture();
  absl::Status WriteSummary(bool complete);
  // The cell of a frame; nothing for one that has none. The cells are spread over all frames that are expected.
  std::optional<int> CellOf(const ImageHeader& header) const;
  Colour ColourOf(std::string_view publisher);

  std::string picture_path_;
  std::string summary_path_;
  int columns_, rows_, cell_width_;
  std::optional<Canvas> canvas_;
  Tally tally_;
  SharedMemory shared_;
  std::map<std::string, Colour, std::less<>> colours_;
  bool changed_ = false;
  puma::Timestamp next_picture_;
};

}  // namespace edges
#endif  // EDGES_CONTACT_SHEET_H_
