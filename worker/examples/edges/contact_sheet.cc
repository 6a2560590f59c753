#include "contact_sheet.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "file.h"
#include "png_photo.h"

namespace edges {
namespace {

constexpr Colour kRed = {255, 80, 60};
constexpr Colour kColours[] = {{255, 255, 255}, {255, 214, 120}, {140, 210, 255}, {170, 255, 170}};

// Readers see the old file or the new one, never a half.
absl::Status WriteText(const std::string& path, std::string_view text) {
  const std::string unfinished = path + ".part";
  File file(std::fopen(unfinished.c_str(), "w"));
  if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() || std::fclose(file.release()) != 0 ||
      std::rename(unfinished.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("summary ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

ContactSheet::ContactSheet(puma::Setup& setup)
    : picture_path_(setup.RequiredParam<std::string>("output", "the picture to write, a .png")),
      summary_path_(setup.Param<std::string>("summary", "", "the summary to write; \"\": beside the picture, as .json")),
      columns_(setup.Param("columns", 6, "small pictures in a row")),
      rows_(setup.Param("rows", 4, "rows of small pictures")),
      cell_width_(setup.Param("cell_width", 240, "width of a small picture, in pixels")) {
  setup.Input("edges", &ContactSheet::OnEdges);
}

absl::Status ContactSheet::OnStart() {
  if (columns_ < 1 || rows_ < 1 || columns_ > 100 || rows_ > 100) return puma::InvalidArgument("columns and rows are 1..100");
  if (cell_width_ < 8 || cell_width_ > 2000) return puma::InvalidArgument("cell_width is 8..2000");
  if (summary_path_.empty()) summary_path_ = picture_path_ + ".json";
  canvas_.emplace(columns_, rows_, cell_width_, cell_width_ * 5 / 8);
  PUMA_RETURN_IF_ERROR(SetTickInterval(absl::Milliseconds(200)));
  PUMA_RETURN_IF_ERROR(WritePicture());
  PUMA_RETURN_IF_ERROR(WriteSummary(false));  // a path that can't be written is told now, not after the work
  return ResumeTicks();
}

absl::Status ContactSheet::Execute() {
  absl::Status served = Service();
  absl::Status written = WritePicture();
  if (written.ok()) written = WriteSummary(served.ok());
  if (written.ok()) log().info("{} distinct frames; picture {}, summary {}", tally_.distinct(), picture_path_, summary_path_);
  return served.ok() ? written : served;
}

absl::Status ContactSheet::OnTick(puma::Timestamp now) {
  if (!changed_) return absl::OkStatus();
  if (now >= next_picture_) {
    PUMA_RETURN_IF_ERROR(WritePicture());
    next_picture_ = now + absl::Seconds(2);
  }
  return WriteSummary(false);
}

absl::Status ContactSheet::OnEdges(const Edges& edges, const puma::Message& message) {
  EdgesHeader header = edges.header();
  if (!Fits(header.image, edges.bytes().size()) || header.image.channels != 1)
    return puma::InvalidArgument("edges whose header does not fit");
  header.image.copied_bytes += shared_.Copied(edges.bytes());
  const bool is_new = tally_.Add(header, edges.bytes().size(), message.redelivered, absl::Now());
  changed_ = true;
  const Colour colour = is_new ? ColourOf(Detector(header)) : kRed;
  if (std::optional<int> cell = CellOf(header.image)) canvas_->Draw(*cell, header.image, edges.bytes(), colour);
  return absl::OkStatus();
}

absl::Status ContactSheet::WritePicture() { return WritePng(picture_path_, canvas_->width(), canvas_->height(), canvas_->rgb()); }

absl::Status ContactSheet::WriteSummary(bool complete) {
  PUMA_RETURN_IF_ERROR(WriteText(summary_path_, tally_.AsJson(complete, picture_path_)));
  changed_ = false;
  return absl::OkStatus();
}

std::optional<int> ContactSheet::CellOf(const ImageHeader& header) const {
  const auto cells = static_cast<uint64_t>(canvas_->cells());
  if (header.total <= cells) {
    if (header.number >= cells) return std::nullopt;
    return static_cast<int>(header.number);
  }
  const uint64_t cell = header.number * cells / header.total;
  const uint64_t first = (cell * header.total + cells - 1) / cells;  // the first frame that falls into this cell
  if (header.number != first || cell >= cells) return std::nullopt;
  return static_cast<int>(cell);
}

Colour ContactSheet::ColourOf(std::string_view publisher) {
  auto known = colours_.find(publisher);
  if (known == colours_.end()) known = colours_.emplace(std::string(publisher), kColours[colours_.size() % std::size(kColours)]).first;
  return known->second;
}

}  // namespace edges
