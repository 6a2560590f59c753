#ifndef PUMA_WORKER_CONTROL_START_SPEC_H_
#define PUMA_WORKER_CONTROL_START_SPEC_H_
// What a worker is told about one task: written by the host as JSON into a sealed memfd, read by the worker.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/platform/unique_fd.h"

namespace puma::control {

// A lane that exists already, of a publisher that the input reads; the older epoch first.
struct KnownLane {
  uint64_t lane = 0;
  uint64_t publisher = 0;  // uid
  uint32_t epoch = 0;
  uint32_t page_slot = 0;
  uint64_t next = 0;                                  // where this subscription goes on
  uint64_t deliveries = 0;                            // how often `next` was handed out before, as far as that counts
  uint64_t handed = 0;                                // so many messages from `next` on were handed out before
  uint64_t backlog = 0, redelivered = 0, missed = 0;  // statistics that go on (PageSlot)
};
struct InputSpec {
  std::string port, buffer;
  bool lossy = false;
  bool latest = false;
  std::vector<uint64_t> publishers;  // uids of all declared ones; the input completes when all of them have
  uint32_t lanes_each = 1;           // lanes of one publisher's epoch that lead here; its epoch is complete when all of them are
  std::vector<KnownLane> lanes;      // their descriptors come by Attach
};
// One lane that the task makes and offers.
struct LaneSpec {
  uint64_t lane = 0;                    // id; also the grant's
  uint32_t replica = 0;                 // of the shared subscription
  std::vector<uint64_t> subscriptions;  // uids of the declared reliable readers: each gates from the beginning
  std::vector<uint64_t> spares;         // ids of the larger lanes in which the output may go on: its next parts
};
struct OutputSpec {
  std::string port, buffer;
  uint32_t epoch = 1;
  uint64_t capacity = 64, payload_bytes = 0;
  std::string on_full;          // block, error, warn, ignore, drop_oldest, latest
  std::vector<LaneSpec> lanes;  // at least one; several: the publisher chooses the least filled living one
  uint64_t max_bytes = 0;       // payload of the last spare
  bool stream = false;          // its lanes wake asymmetrically
  bool huge_pages = false, prefault = false;
};
struct StartSpec {
  std::string pipeline, name;  // name: of the task, with its replica: "detector.0"
  uint64_t task = 0, run = 0, ticket = 0;
  uint32_t slot = 0;
  std::string module;                         // path of the .so
  std::string module_name, type;              // "edges", "EdgeDetector"
  std::map<std::string, std::string> params;  // name to JSON text
  int log_level = 2;                          // puma::Level's number
  uint64_t page = 0;                          // segment id of the task page
  uint64_t spin_ns = 20'000;                  // how long it looks for input before it sleeps, as long as that pays
  bool alone = true;                          // the only task of its worker: the worker ends with it
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
};

std::string ToJson(const StartSpec& spec);
absl::StatusOr<StartSpec> StartSpecFromJson(std::string_view json);
// As a sealed memfd, and back.
absl::StatusOr<UniqueFd> ToMemfd(const StartSpec& spec);
absl::StatusOr<StartSpec> FromMemfd(const UniqueFd& fd);

}  // namespace puma::control
#endif  // PUMA_WORKER_CONTROL_START_SPEC_H_
