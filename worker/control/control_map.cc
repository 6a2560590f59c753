// Where everything lies in W and H.
#include <algorithm>

#include "worker/control/control_segments.h"

namespace puma::control {
namespace {

constexpr size_t kPageBytes = 4096;  // rings begin on pages, so that untouched payload costs no memory

size_t Align(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }
size_t RingBytes(const RingOptions& options) { return Align(RingWriter::BytesNeeded(options).value(), kPageBytes); }

}  // namespace

RingOptions CommandRingOptions() {
  RingOptions options;
  options.capacity = kCommandCapacity;
  options.max_message = sizeof(CommandRecord) + kCommandBytes;
  options.payload_bytes = 4 * kCommandBytes;
  return options;
}

RingOptions ResultRingOptions() {
  RingOptions options;
  options.capacity = 256;
  options.max_message = sizeof(ResultRecord) + kResultBytes;
  options.payload_bytes = 4 * kResultBytes;
  return options;
}

RingOptions LogRingOptions() {
  RingOptions options;
  options.capacity = kLogCapacity;
  options.max_message = sizeof(LogEntry) + kLogRecordBytes;
  options.payload_bytes = kLogPayloadBytes;
  return options;
}

WorkerMap MapOfWorker(uint32_t slots) {
  static const size_t results = RingBytes(ResultRingOptions());
  static const size_t logs = RingBytes(LogRingOptions());
  WorkerMap map{};
  map.tasks = Align(sizeof(WorkerHeader), kLine);
  map.sources = Align(map.tasks + slots * sizeof(TaskSlot), kLine);
  map.arena = Align(map.sources + kMaxSources * sizeof(Source), kLine);
  map.results = Align(map.arena + kSourceBytes, kPageBytes);
  map.logs = map.results + results;
  map.bytes = map.logs + logs;
  return map;
}

HostMap MapOfHost(uint32_t slots) {
  static const size_t commands = RingBytes(CommandRingOptions());
  HostMap map{};
  map.first_slot = Align(sizeof(HostHeader), kPageBytes);
  map.command_ring = Align(sizeof(HostSlot), kLine);
  map.slot_stride = Align(map.command_ring + commands, kPageBytes);
  map.bytes = map.first_slot + slots * map.slot_stride;
  return map;
}

}  // namespace puma::control
