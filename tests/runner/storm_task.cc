// A process that runs one task of a storm, as puma-worker would, until it is killed. Its keeper is storm.cc.
#include <puma/module.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/runner/history.h"
#include "tests/runner/storm_notes.h"
#include "worker/control/start_spec.h"
#include "worker/platform/system.h"
#include "worker/runner/task_runner.h"

namespace puma {
namespace {

using testing::ConsumerLedger;
using testing::kPlainPublisher;
using testing::kTaskSocket;
using testing::Note;
using testing::Plain;
using testing::PublisherLedger;
using testing::Say;
using testing::Stretch;
using testing::WordOf;

control::StartSpec spec;
void* ledger = nullptr;
std::mt19937_64 dice;

[[noreturn]] void Fail(const absl::Status& status) {
  const std::string text = "storm task " + spec.name + ": " + status.ToString() + "\n";
  (void)!::write(STDERR_FILENO, text.data(), text.size());
  ::_exit(1);
}

// Long enough to die in.
void Work() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(dice() % 8 == 0 ? dice() % 20'000 : 0);
  while (std::chrono::steady_clock::now() < until) {
  }
}

class Source : public Runnable {
 public:
  explicit Source(puma::Setup& setup) {
    if (spec.task == kPlainPublisher) {
      plain_ = setup.Output<Plain>("out");
    } else {
      varied_ = setup.Output<std::vector<uint64_t>>("out");
    }
  }

 private:
  absl::Status Execute() override {
    auto& book = *static_cast<PublisherLedger*>(ledger);
    for (uint64_t number = 0; book.finish == 0; ++number) {
      if (!PollCommands()) return absl::OkStatus();
      book.begun.store(number + 1, std::memory_order_release);
      if (absl::Status status = PublishOne(WordOf(spec.outputs[0].lanes[0].lane, number)); !status.ok()) Fail(status);
      book.accepted.store(number + 1, std::memory_order_release);
      if (dice() % 64 == 0) ::usleep(dice() % 200);  // readers fall asleep now and then
    }
    return absl::OkStatus();  // completes
  }
  absl::Status PublishOne(uint64_t word) {
    if (spec.task == kPlainPublisher) {
      Plain value;
      std::fill(std::begin(value.words), std::end(value.words), word);
      return plain_.PublishValue(value);
    }
    return varied_.PublishValue(std::vector<uint64_t>(1 + dice() % 40, word));
  }
  Output<Plain> plain_;
  Output<std::vector<uint64_t>> varied_;
};

class Sink : public Runnable {
 public:
  explicit Sink(puma::Setup& setup) {
    setup.Input("plain", &Sink::OnPlain);
    setup.Input("varied", &Sink::OnVaried);
  }

 private:
  void OnPlain(const Plain& value, const Message& m) { Note(value.words, m); }
  void OnVaried(const std::vector<uint64_t>& value, const Message& m) { Note(value, m); }
  bool OnEnd(const absl::Status& error) override {
    if (error.ok()) book_.completed = 1;
    return false;
  }
  void Note(std::span<const uint64_t> words, const Message& m) {
    Work();
    const uint64_t expected = WordOf(m.lane, m.sequence);
    const bool good = std::all_of(words.begin(), words.end(), [&](uint64_t word) { return word == expected; });
    if (!good) ++book_.foreign;
    Work();
    Stretch*& last = last_[m.lane];
    if (last != nullptr && !m.redelivered && last->first + last->count == m.sequence) {
      last->count.fetch_add(1, std::memory_order_release);
      return;
    }
    const uint64_t at = book_.used;
    if (at == ConsumerLedger::kStretches) Fail(absl::ResourceExhaustedError("the ledger is full"));
    last = &book_.stretches[at];
    last->lane = m.lane;
    last->first = m.sequence;
    last->run = static_cast<uint32_t>(spec.run);
    last->redelivered = m.redelivered;
    last->count = 1;
    book_.used.store(at + 1, std::memory_order_release);
  }
  ConsumerLedger& book_ = *static_cast<ConsumerLedger*>(ledger);
  std::map<uint64_t, Stretch*> last_;
};

runner::RunnerHooks Hooks() {
  runner::RunnerHooks hooks;
  hooks.load = []() -> absl::StatusOr<Module::Factory> {
    if (spec.outputs.empty()) return [](puma::Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<Sink>(s); };
    return [](puma::Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<Source>(s); };
  };
  const auto offer = [](Say say, uint64_t lane, Segment& segment) {
    const UniqueFd fd = segment.TakeFd();
    const int raw = fd.get();
    Tell(kTaskSocket, Note{.say = say, .lane = lane}, std::span(&raw, 1));
    return absl::OkStatus();
  };
  hooks.offer_page = [offer](uint64_t, Segment& segment) { return offer(Say::kPage, 0, segment); };
  hooks.offer_lane = [offer](uint64_t lane, Segment& segment) { return offer(Say::kLane, lane, segment); };
  return hooks;
}

// The control thread of the worker.
[[noreturn]] void ServeKeeper(runner::TaskRunner& task) {
  while (true) {
    Packet packet = ReceivePacket(kTaskSocket);
    Note note;
    if (!Hear(packet, note)) ::_exit(0);
    if (note.say == Say::kAttachPage) {
      auto start = task.SetGate({note.lane, note.subscription, std::move(packet.fds.at(0)), note.slot});
      if (!start.ok() && !absl::IsNotFound(start.status())) Fail(start.status());  // NOT_FOUND: it has completed already
      continue;
    }
    internal::LaneAttachment lane;
    lane.port = note.publisher == kPlainPublisher ? "plain" : "varied";
    lane.fd = std::move(packet.fds.at(0));
    lane.lane = note.lane;
    lane.publisher = note.publisher;
    lane.epoch = note.epoch;
    lane.page_slot = note.slot;
    task.Attach(std::move(lane));
  }
}

}  // namespace
}  // namespace puma

int main() {
  using namespace puma;  // NOLINT(google-build-using-namespace)
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  RegisterMembarrier();
  Packet packet = ReceivePacket(kTaskSocket);
  Note note;
  if (!Hear(packet, note) || packet.fds.size() != 2) return 0;
  auto read = control::FromMemfd(packet.fds[0]);
  if (!read.ok()) Fail(read.status());
  spec = *std::move(read);
  dice.seed(note.seed);
  const size_t bytes = spec.outputs.empty() ? sizeof(testing::ConsumerLedger) : sizeof(testing::PublisherLedger);
  ledger = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, packet.fds[1].get(), 0);
  if (ledger == MAP_FAILED) return 1;
  runner::TaskRunner task(spec, Hooks(), {});
  if (absl::Status status = task.Start(); !status.ok()) Fail(status);
  ServeKeeper(task);
}
