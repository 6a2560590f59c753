#ifndef PUMA_WORKER_CONTROL_GATE_CHANGE_H_
#define PUMA_WORKER_CONTROL_GATE_CHANGE_H_
// What a publisher is told about a subscription that gates one of its lanes.
#include <cstdint>

namespace puma::control {

// kDown: the replica behind it has ended; its gate stays, and the publisher prefers other replicas. kRemoved: it has left; its gate goes.
// kLaneIsOut: and it was the replica that the lane leads to: the lane is chosen no more.
enum class GateChange : uint32_t { kDown = 0, kRemoved = 1, kLaneIsOut = 2 };

}  // namespace puma::control
#endif  // PUMA_WORKER_CONTROL_GATE_CHANGE_H_
