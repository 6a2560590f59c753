#ifndef PUMA_WORKER_ENVIRONMENT_ERROR_TEXT_H_
#define PUMA_WORKER_ENVIRONMENT_ERROR_TEXT_H_
// An error as the text that a lane's completion and the broker's packets carry.
#include <string>
#include <string_view>

#include "worker/buffer/layout.h"
#include "worker/control/failure.h"

namespace puma::internal {

inline std::string TextOfError(const absl::Status& error, size_t at_most = kErrorBytes) {
  return error.ok() ? "" : control::FailureToJson(ErrorOf(error), at_most);
}
inline absl::Status ErrorFromText(std::string_view text) {
  if (text.empty()) return absl::OkStatus();
  auto error = control::FailureFromJson(text);
  return error.ok() ? ToStatus(*error) : absl::UnknownError(std::string(text));
}

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_ERROR_TEXT_H_
