#include "jpeg_photo.h"

#include <absl/strings/str_cat.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <utility>

// clang-format off
#include <jpeglib.h>  // after <cstdio>: it uses FILE and size_t and declares neither
// clang-format on

namespace edges {
namespace {

class JpegPhoto : public Photo {
 public:
  static absl::StatusOr<std::unique_ptr<Photo>> Open(const std::string& path, File file);
  ~JpegPhoto() override;
  absl::Status DecodeInto(std::span<std::byte> rgb) override;

 private:
  // libjpeg tells an error by a call that may not return; it jumps back into the method that is at work.
  struct Errors : jpeg_error_mgr {
    std::jmp_buf back;
    char text[JMSG_LENGTH_MAX] = {};
  };
  JpegPhoto(std::string path, File file) : path_(std::move(path)), file_(std::move(file)) {}
  absl::Status ReadHead();
  absl::Status Damaged() const;

  std::string path_;
  File file_;
  Errors errors_;
  jpeg_decompress_struct jpeg_{};
};

absl::StatusOr<std::unique_ptr<Photo>> JpegPhoto::Open(const std::string& path, File file) {
  std::unique_ptr<JpegPhoto> photo(new JpegPhoto(path, std::move(file)));
  absl::Status head = photo->ReadHead();
  if (!head.ok()) return head;
  return photo;
}

JpegPhoto::~JpegPhoto() { jpeg_destroy_decompress(&jpeg_); }

// Between setjmp and the last call into libjpeg no object with a destructor is made: a jump would skip it.
absl::Status JpegPhoto::ReadHead() {
  jpeg_.err = jpeg_std_error(&errors_);
  errors_.error_exit = [](j_common_ptr jpeg) {
    auto* errors = static_cast<Errors*>(jpeg->err);
    errors->format_message(jpeg, errors->text);
    std::longjmp(errors->back, 1);
  };
  errors_.output_message = [](j_common_ptr) {};  // warnings: the picture is shown as far as it goes
  if (setjmp(errors_.back) != 0) return Damaged();
  jpeg_create_decompress(&jpeg_);
  jpeg_stdio_src(&jpeg_, file_.get());
  jpeg_read_header(&jpeg_, TRUE);
  jpeg_.out_color_space = JCS_RGB;
  jpeg_calc_output_dimensions(&jpeg_);
  width_ = static_cast<int>(jpeg_.output_width);
  height_ = static_cast<int>(jpeg_.output_height);
  return absl::OkStatus();
}

absl::Status JpegPhoto::DecodeInto(std::span<std::byte> rgb) {
  if (rgb.size() < bytes()) return absl::InvalidArgumentError("photograph: too little room for its pixels");
  if (setjmp(errors_.back) != 0) return Damaged();
  jpeg_start_decompress(&jpeg_);
  while (jpeg_.output_scanline < jpeg_.output_height) {
    auto* row = reinterpret_cast<JSAMPROW>(rgb.data() + static_cast<size_t>(stride()) * jpeg_.output_scanline);
    jpeg_read_scanlines(&jpeg_, &row, 1);
  }
  jpeg_finish_decompress(&jpeg_);
  return absl::OkStatus();
}

absl::Status JpegPhoto::Damaged() const { return absl::DataLossError(absl::StrCat("photograph ", path_, ": ", errors_.text)); }

}  // namespace

absl::StatusOr<std::unique_ptr<Photo>> OpenJpeg(const std::string& path, File file) { return JpegPhoto::Open(path, std::move(file)); }

}  // namespace edges
