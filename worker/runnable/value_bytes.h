#ifndef PUMA_WORKER_RUNNABLE_VALUE_BYTES_H_
#define PUMA_WORKER_RUNNABLE_VALUE_BYTES_H_
// Values as bytes, for processes of one program that speak to each other.
#include <puma/value.h>

#include "worker/platform/bytes.h"

namespace puma::internal {

void PackValue(const Value& value, ByteWriter& to);
Value UnpackValue(ByteReader& from);  // Null where nothing sensible stands; from.ok() tells

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_VALUE_BYTES_H_
