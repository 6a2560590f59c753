#ifndef PUMA_WORKER_RUNNABLE_RECEIVED_H_
#define PUMA_WORKER_RUNNABLE_RECEIVED_H_
#include <puma/codec.h>

#include "worker/buffer/layout.h"

namespace puma::internal {

// What a lane's annotation says of a message; null: nothing. `delivery` and `redelivered` stand in it already.
inline void Annotate(const Annotation* annotation, Message& message) {
  static constexpr Annotation kNothing{};
  const Annotation& a = annotation != nullptr ? *annotation : kNothing;
  message.published_ns = a.published_ns;
  message.cause_lane = a.cause_lane;
  message.cause_number = a.cause_number;
  message.cause_epoch = a.cause_epoch;
  if ((a.flags & kFlagRedelivered) != 0) message.redelivered = true;
}

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_RECEIVED_H_
