#ifndef PUMA_WORKER_ENVIRONMENT_CODE_ADDRESS_H_
#define PUMA_WORKER_ENVIRONMENT_CODE_ADDRESS_H_
// A function as another process of the same program knows it: object file, build id, offset. Never by name: files may be stripped.
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace puma::internal {

struct CodeAddress {
  std::string object;    // "": the program itself
  std::string build_id;  // "": the object file has none
  uint64_t offset = 0;
};
absl::StatusOr<CodeAddress> AddressOf(const void* code);
absl::StatusOr<void*> CodeAt(const CodeAddress& address);  // NOT_FOUND: this process has no such object file

}  // namespace puma::internal
#endif  // PUMA_WORKER_ENVIRONMENT_CODE_ADDRESS_H_
