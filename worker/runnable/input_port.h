#ifndef PUMA_WORKER_RUNNABLE_INPUT_PORT_H_
#define PUMA_WORKER_RUNNABLE_INPUT_PORT_H_
// An input whose lanes the host attaches: its publishers, each a chain of epochs and their parts, each a lane or several.
#include <puma/runnable.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/buffer/lane_reader.h"
#include "worker/platform/unique_fd.h"
#include "worker/runnable/input.h"

namespace puma::internal {

struct InputWiring {
  std::string buffer;
  bool lossy = false;
  bool latest = false;
  std::vector<uint64_t> publishers;  // all declared ones
  uint32_t lanes_each = 1;           // of one epoch of a publisher
};

// A lane to be read.
struct LaneAttachment {
  std::string port;
  UniqueFd fd;
  uint64_t lane = 0, publisher = 0;
  uint32_t epoch = 0;
  uint32_t part = 0;  // of the epoch
  uint32_t page_slot = 0;
  uint64_t start = 0;
};

class InputPort final : public Input {
 public:
  explicit InputPort(InputDeclaration declaration);
  ~InputPort() override;

  void Connect(InputWiring wiring);
  // DATA_LOSS: the lane is not acceptable; the input goes on without it, and it is a bad lane.
  absl::Status Attach(LaneAttachment lane, PageSlot& slot);
  // Leaves it, drained or not. The publisher's next epoch is read.
  void LeaveLane(uint64_t lane);
  // Lanes that were left because they can't be believed, once each.
  struct BadLane {
    uint64_t lane;
    std::string what;
  };
  bool has_bad_lanes() const { return !bad_lanes_.empty(); }
  std::vector<BadLane> TakeBadLanes() { return std::exchange(bad_lanes_, {}); }
  // The publisher will publish no more: after what it has published, it counts as completed, with this error.
  void EndPublisher(uint64_t publisher, const absl::Status& error);

  const Received* Next(const Logger& log) override;
  void NextPublisher() override;
  void Begin() override;
  void Finish() override;
  void StorePositions() override;
  void CollectReaders(std::vector<LaneReader*>& out) override;
  size_t batch() const override { return batch_; }

 private:
  struct Lane;
  struct Epoch;
  struct Publisher;
  static absl::StatusOr<std::unique_ptr<LaneReader>> Open(LaneAttachment lane, PageSlot& slot, uint64_t start);
  static absl::Status MoveTo(Lane& known, LaneAttachment lane, PageSlot& slot);
  bool Peek(Lane& lane, const Logger& log);
  Lane* NextOf(Publisher& publisher, const Logger& log);
  Lane* Earliest(Epoch& epoch, const Logger& log);
  bool Over(Publisher& publisher);
  void CheckComplete();
  void Describe(const Publisher& publisher, Lane& lane);
  Publisher& FindOrAdd(uint64_t uid);

  InputWiring wiring_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  size_t turn_ = 0;
  size_t batch_ = 64;
  Lane* in_hand_ = nullptr;
  Received received_;  // one object: making one anew for each message takes longer than the rest of the loop
  std::vector<BadLane> bad_lanes_;
};

}  // namespace puma::internal
#endif  // PUMA_WORKER_RUNNABLE_INPUT_PORT_H_
