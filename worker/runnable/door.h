#ifndef PUMA_WORKER_RUNNABLE_DOOR_H_
#define PUMA_WORKER_RUNNABLE_DOOR_H_
// The door between user code and ours: exceptions end here and become statuses.
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace puma::internal {

// Statuses print our payloads as people read them, not as bytes. Once; for programs of one's own and for the worker.
void PrintErrorsPlainly();

// Call only in a catch clause. The exception as a status: its type and bases, its text, its nested causes, the stack of its throw. The
// code is UNKNOWN, or what the kind of a standard exception says (bad_alloc: RESOURCE_EXHAUSTED, invalid_argument: INVALID_ARGUMENT, ...).
absl::Status StatusOfException();

// Calls user code.
template <class F>
auto ThroughDoor(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (...) {
    return StatusOfException();
  }
}

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_DOOR_H_
