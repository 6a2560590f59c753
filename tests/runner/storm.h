#ifndef PUMA_TESTS_RUNNER_STORM_H_
#define PUMA_TESTS_RUNNER_STORM_H_
// Keeps tasks of real publishers and consumers running, each in a process of its own, while it kills them at random: the part of the host
// and the shim. Every run has a new lane and a new page, handed over as workers do it.
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/runner/history.h"
#include "worker/buffer/ring.h"
#include "worker/buffer/task_page.h"
#include "worker/control/start_spec.h"

namespace puma::testing {

struct StormOptions {
  std::string task;  // the program
  uint64_t seed = 0;
  uint32_t consumers = 2;
  std::chrono::microseconds pause{8'000};       // the longest between two kills
  std::chrono::milliseconds patience{120'000};  // without any progress: stalled
};

class Storm {
 public:
  explicit Storm(StormOptions options);
  ~Storm();

  void Kill(uint64_t kills);                  // so many, at random
  std::vector<std::string> FinishAndCheck();  // lets all complete; what the checker has found, of all consumers

  uint64_t messages() const;  // handled by all consumers
  uint64_t duplicates() const { return duplicates_; }
  uint64_t kills() const { return kills_; }

 private:
  struct Ledger;
  struct Peer;
  struct Lane;
  struct Task;
  struct Publisher;
  struct Consumer;

  void Serve(std::chrono::microseconds time);
  void Start(Task& task, const control::StartSpec& spec);
  void StartPublisher(Publisher& publisher);
  bool Hear(Publisher& publisher);
  void Died(Publisher& publisher);
  void StartConsumer(Consumer& consumer);
  bool Hear(Consumer& consumer);
  void Died(Consumer& consumer);
  void Wire(Consumer& consumer, Lane& lane);
  uint32_t SlotFor(Consumer& consumer, const Lane& lane);
  bool Drained(Consumer& consumer, const Lane& lane) const;
  Lane* Find(uint64_t id);
  void ForgetDrainedLanes();
  bool AllCompleted() const;
  uint64_t ProgressMark() const;

  const StormOptions options_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // all there ever were, in their order
  uint64_t next_lane_ = 1;
  uint64_t kills_ = 0, duplicates_ = 0;
  bool finishing_ = false;
};

}  // namespace puma::testing
#endif  // PUMA_TESTS_RUNNER_STORM_H_
