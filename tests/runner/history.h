#ifndef PUMA_TESTS_RUNNER_HISTORY_H_
#define PUMA_TESTS_RUNNER_HISTORY_H_
// What tasks did in a storm, in memory that survives them, and the checker that judges it.
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace puma::testing {

// ---- written by the tasks; one word per fact: a kill leaves each of them true
// ------------------------------------------------------------

// Of a publisher's run: numbers count its messages from 0.
struct PublisherLedger {
  std::atomic<uint64_t> begun;     // PublishValue was called for all below
  std::atomic<uint64_t> accepted;  // PublishValue has returned OK for all below
  std::atomic<uint64_t> finish;    // written by the keeper: complete
};

// Messages first, first + 1, ... of one lane that were handled one after the other.
struct Stretch {
  uint64_t lane, first;
  std::atomic<uint64_t> count;
  uint32_t run;          // of the consumer
  uint32_t redelivered;  // the first one came with the mark
};
struct ConsumerLedger {
  static constexpr uint64_t kStretches = 1 << 15;
  std::atomic<uint64_t> foreign;    // messages with other content than was published under their number
  std::atomic<uint64_t> completed;  // all inputs have
  std::atomic<uint64_t> used;
  Stretch stretches[kStretches];
};

// ---- judged
// --------------------------------------------------------------------------------------------------------------------------------

struct PublishedLane {
  uint64_t lane = 0, publisher = 0;
  uint64_t begun = 0, accepted = 0, tail = 0;  // tail: without the completion
};
struct SeenStretch {
  uint64_t lane = 0, first = 0, count = 0;
  uint32_t run = 0;
  bool redelivered = false;
};
struct History {
  std::vector<PublishedLane> lanes;  // of all publishers; of each in the order of its epochs
  std::vector<SeenStretch> seen;     // by one consumer, in the order in which it handled them
  uint64_t foreign = 0;
  bool completed = false;
};

// What is wrong with it; empty: nothing is lost, nothing is from nowhere, the order of each publisher is kept, and a message is repeated
// only as the first of its lane after a death, once, with the mark.
std::vector<std::string> FaultsOf(const History& history);

}  // namespace puma::testing
#endif  // PUMA_TESTS_RUNNER_HISTORY_H_
