#include "tests/runner/history.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace puma::testing {
namespace {

// One publisher's lanes, as a consumer goes along them.
struct Progress {
  std::vector<const PublishedLane*> epochs;
  size_t epoch = 0;
  uint64_t next = 0;  // within the epoch
};

class Checker {
 public:
  explicit Checker(const History& history) : history_(history) {}
  std::vector<std::string> Run() {
    for (const PublishedLane& lane : history_.lanes) {
      publishers_[lane.publisher].epochs.push_back(&lane);
      lanes_[lane.lane] = &lane;
      if (lane.tail < lane.accepted) Say("lost: lane ", lane.lane, " has ", lane.tail, " messages, accepted were ", lane.accepted);
      if (lane.tail > lane.begun) Say("phantom: lane ", lane.lane, " has ", lane.tail, " messages, begun were ", lane.begun);
    }
    for (const SeenStretch& stretch : history_.seen) Follow(stretch);
    for (auto& [uid, progress] : publishers_) CheckEnd(uid, progress);
    if (history_.foreign != 0) Say("foreign: ", history_.foreign, " messages had another content");
    if (!history_.completed) Say("stalled: the inputs have not completed");
    return std::move(faults_);
  }

 private:
  template <class... T>
  void Say(const T&... words) {
    if (faults_.size() < 20) faults_.push_back(absl::StrCat(words...));
  }
  void Follow(const SeenStretch& s) {
    const auto lane = lanes_.find(s.lane);
    if (lane == lanes_.end() || s.first + s.count > lane->second->tail) {
      return Say("phantom: lane ", s.lane, ", messages ", s.first, " .. ", s.first + s.count - 1);
    }
    Progress& at = publishers_[lane->second->publisher];
    const bool first_of_run = runs_.insert({s.run, s.lane}).second;
    uint64_t first = s.first, count = s.count;
    SkipTo(at, *lane->second);
    if (at.epoch == at.epochs.size() || at.epochs[at.epoch] != lane->second) {
      return Say("disorder: lane ", s.lane, " after a later epoch");
    }
    if (first + 1 == at.next) {  // again
      if (!first_of_run) Say("duplicate: lane ", s.lane, ", message ", first, " without a death");
      if (!s.redelivered) Say("unmarked: lane ", s.lane, ", message ", first, " came again without the mark");
      ++first;
      --count;
    }
    if (count == 0) return;
    if (first < at.next) Say("duplicate: lane ", s.lane, ", message ", first, " where ", at.next, " was due");
    if (first > at.next) Say("lost: lane ", s.lane, ", messages ", at.next, " .. ", first - 1);
    at.next = first + count;
  }
  // To the epoch of `lane`, if all before it has been read. What has not is lost.
  void SkipTo(Progress& at, const PublishedLane& lane) {
    while (at.epoch < at.epochs.size() && at.epochs[at.epoch] != &lane) {
      size_t later = at.epoch;
      while (later < at.epochs.size() && at.epochs[later] != &lane) ++later;
      if (later == at.epochs.size()) return;
      Leave(at);
    }
  }
  void Leave(Progress& at) {
    const PublishedLane& left = *at.epochs[at.epoch];
    if (at.next != left.tail) Say("lost: lane ", left.lane, ", messages ", at.next, " .. ", left.tail - 1);
    ++at.epoch;
    at.next = 0;
  }
  void CheckEnd(uint64_t uid, Progress& progress) {
    (void)uid;
    while (progress.epoch < progress.epochs.size()) Leave(progress);
  }

  const History& history_;
  std::map<uint64_t, Progress> publishers_;
  std::map<uint64_t, const PublishedLane*> lanes_;
  std::set<std::pair<uint32_t, uint64_t>> runs_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> FaultsOf(const History& history) { return Checker(history).Run(); }

}  // namespace puma::testing
