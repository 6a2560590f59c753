// Runnables that write into their own shared memory what should never stand there. Each does so once: a file says that it has.
#include <linux/futex.h>
#include <puma/module.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>

#include "worker/buffer/layout.h"

namespace {

// The first mapping of this process that it may write and whose name contains `name`.
std::byte* WritableMapping(const char* name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    void* begin = nullptr;
    char access[8] = {};
    if (line.find(name) == std::string::npos || std::sscanf(line.c_str(), "%p-%*x %7s", &begin, access) != 2) continue;
    if (access[1] == 'w') return static_cast<std::byte*>(begin);
  }
  return nullptr;
}

bool FirstTime(const std::string& marker) {
  if (std::ifstream(marker)) return false;
  std::ofstream(marker) << "done\n";
  return true;
}

// Publishes PREFIX0, PREFIX1, ...; after the tenth it spoils its lane, the first time.
class Scribbler : public puma::Runnable {
 public:
  explicit Scribbler(puma::Setup& setup)
      : what_(setup.Param("what", "", "descriptor, tail_back, tail_far; empty: nothing")),
        marker_(setup.Param("marker", "", "the file that says that it has been done")),
        prefix_(setup.Param("prefix", "s", "of its messages")),
        count_(setup.Param("count", 100, "how many messages")),
        out_(setup.Output<std::string>("out")) {}

 private:
  absl::Status Execute() override {
    const bool spoils = !what_.empty() && FirstTime(marker_);
    for (int n = 0; n < count_ && PollCommands(); ++n) {
      PUMA_RETURN_IF_ERROR(out_.PublishValue(prefix_ + std::to_string(n)));
      if (!spoils || n != 9) continue;
      // Again and again: a reader that had not yet seen the good tail sees no harm in a smaller one.
      for (int times = 0; WaitForCommands(absl::Milliseconds(20)); ++times) Spoil(times);
      return absl::OkStatus();
    }
    return absl::OkStatus();
  }
  void Spoil(int times) {
    std::byte* lane = WritableMapping("puma-lane");
    if (lane == nullptr) return log().error("found no lane to spoil");
    auto* header = reinterpret_cast<puma::RingHeader*>(lane);
    if (times == 0) tail_ = header->tail.load();
    const uint64_t tail = tail_;
    if (what_ == "tail_back" && times % 2 == 1) {
      header->tail.store(tail);
    } else if (what_ == "descriptor") {
      auto* descriptors = reinterpret_cast<puma::Descriptor*>(lane + sizeof(puma::RingHeader));
      descriptors[tail & (header->constants.slots - 1)] = {
          .offset = ~uint64_t{0} - 63, .length = 64, .kind = puma::MessageKind::kValue, .flags = 0};
      header->tail.store(tail + 1);
    } else {
      header->tail.store(what_ == "tail_back" ? tail - 5 : tail + 1'000'000);
    }
    syscall(SYS_futex, &header->tail, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  }
  std::string what_, marker_, prefix_;
  int count_;
  uint64_t tail_ = 0;  // the true one
  puma::Output<std::string> out_;
};

// Writes each message that it has not had into a file. With a marker it says once, at the fifth, that it has read what does not exist.
class Listener : public puma::Runnable {
 public:
  explicit Listener(puma::Setup& setup)
      : path_(setup.Param("path", "", "a file that gets a line for each message")),
        marker_(setup.Param("marker", "", "lies about its position, unless this file exists; empty: never")) {
    setup.Input("in", &Listener::OnText);
    setup.Command("distinct", &Listener::Distinct, "how many different messages have come");
  }
  int64_t Distinct() const { return static_cast<int64_t>(seen_.size()); }

 private:
  absl::Status OnStart() override {
    std::ifstream before(path_);
    for (std::string text; before >> text;) seen_.insert(text);
    file_.open(path_, std::ios::app);
    return file_ ? absl::OkStatus() : puma::InvalidArgument("path " + path_ + " can't be written");
  }
  absl::Status OnText(const std::string& text) {
    if (seen_.insert(text).second) file_ << text << '\n' << std::flush;
    if (!marker_.empty() && seen_.size() == 5 && FirstTime(marker_)) Lie();
    return absl::OkStatus();
  }
  void Lie() {
    std::byte* page = WritableMapping("puma-page");
    if (page == nullptr) return log().error("found no page to spoil");
    auto* slots = reinterpret_cast<puma::PageSlot*>(page + sizeof(puma::PageHeader));
    slots[0].position.store(uint64_t{1} << 60);
    slots[0].next.store(uint64_t{1} << 60);
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
  std::string path_, marker_;
  std::ofstream file_;
  std::set<std::string> seen_;
};

}  // namespace

PUMA_MODULE(hostile) {
  module.Add<Scribbler>("Scribbler");
  module.Add<Listener>("Listener");
}
