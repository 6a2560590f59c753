// Publishers and consumers in processes of their own that die without warning: at random under load, and between any two steps of the
// protocol. Nothing may be lost, the order is kept, and a consumer's death repeats one message at most.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/buffer/lane_fixture.h"
#include "tests/buffer/storm_messages.h"

namespace puma {
namespace {

using testing::Duplicate;
using testing::Hear;
using testing::Record;
using testing::Say;
using testing::Tell;
using testing::Words;

uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* given = getenv("PUMA_SEED");
    return given != nullptr ? std::stoull(given) : std::random_device()();
  }();
  return seed;
}

class Peer {
 public:
  Peer() {
    auto [ours, theirs] = SeqpacketPair();
    socket_ = std::move(ours);
    const UniqueFd high(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 100));  // dup2 onto itself would leave CLOEXEC
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, high.get(), testing::kPeerSocket);
    char* const argv[] = {const_cast<char*>(PUMA_STORM_PEER), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, PUMA_STORM_PEER, &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Peer() { Kill(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  // Kills it if it is not dead yet; afterwards it is proven dead. What it said before can still be heard.
  void Kill() {
    if (pid_ <= 1) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it ended by itself: " << status;
    pid_ = -1;
  }
  int socket() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  pid_t pid_ = -1;
};

struct StormOptions {
  uint64_t base = 0;
  bool fixed = false, asymmetric = false;
  bool own_uids = false;                            // each of them another one
  std::string publisher_dies_at, consumer_dies_at;  // stop points, for the first incarnations of each
  uint64_t die_after = 0;
};

// One publisher and its subscriptions, kept running: the part of the host, the shim and the wiring.
class Storm {
 public:
  static constexpr uint32_t kConsumers = 2;

  explicit Storm(StormOptions options) : options_(std::move(options)), random_(Seed()) {
    for (uint32_t i = 0; i < kConsumers; ++i) {
      consumers_.push_back(std::make_unique<Consumer>());
      consumers_[i]->record->expected = options_.base;
      StartConsumer(i);
    }
    StartPublisher();
  }

  uint64_t kills(uint32_t consumer) const { return consumers_[consumer]->deaths; }
  uint64_t publisher_deaths() const { return publisher_deaths_; }
  const Record& record(uint32_t i) const { return *consumers_[i]->record; }
  bool EveryoneHasRead(uint64_t messages) const {
    return std::all_of(consumers_.begin(), consumers_.end(),
                       [&](const auto& c) { return static_cast<int64_t>(c->record->expected - options_.base - messages) >= 0; });
  }

  // Serves the peers for so long, and restarts who has died.
  void Serve(std::chrono::microseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    do {
      std::vector<pollfd> sockets{{over_ ? -1 : publisher_->socket(), POLLIN, 0}};
      for (const auto& consumer : consumers_) sockets.push_back({consumer->peer->socket(), POLLIN, 0});
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - std::chrono::steady_clock::now()).count();
      const timespec pause{0, std::clamp<long>(left, 0, 999'999'999)};
      if (::ppoll(sockets.data(), sockets.size(), &pause, nullptr) <= 0) continue;
      if (sockets[0].revents != 0 && !HearPublisher()) PublisherDied();
      for (uint32_t i = 0; i < kConsumers; ++i) {
        if (sockets[i + 1].revents != 0 && !HearConsumer(i)) ConsumerDied(i);
      }
    } while (std::chrono::steady_clock::now() < end);
  }

  void KillPublisher() {
    publisher_->Kill();
    while (HearPublisher()) {
    }
    PublisherDied();
  }
  void KillConsumer(uint32_t i) {
    consumers_[i]->peer->Kill();
    while (HearConsumer(i)) {
    }
    ConsumerDied(i);
  }

  // Lets the publisher complete, and checks what every consumer has seen.
  void Finish() {
    options_.publisher_dies_at = options_.consumer_dies_at = "";
    finishing_ = true;
    TellPublisher({.say = Say::kFinish});
    const auto all_completed = [&] {
      return std::all_of(consumers_.begin(), consumers_.end(), [](const auto& c) { return c->record->completed != 0; });
    };
    while (!all_completed()) Serve(std::chrono::milliseconds(5));
    for (const auto& consumer : consumers_) {
      const Record& record = *consumer->record;
      EXPECT_EQ(record.expected, lanes_.back().ring.tail() - 1) << "all but the completion";
      EXPECT_EQ(record.disorder, 0u);
      EXPECT_EQ(record.foreign, 0u);
      EXPECT_LE(record.duplicates, consumer->deaths);
    }
  }

 private:
  struct Lane {
    uint64_t id;
    uint64_t base;
    UniqueFd fd;
    Segment segment;
    RingReader ring;
    bool dead = false;
  };
  struct Consumer {
    Consumer() : record_fd(::memfd_create("record", MFD_CLOEXEC)) {
      EXPECT_EQ(::ftruncate(record_fd.get(), sizeof(Record)), 0);
      record = static_cast<Record*>(::mmap(nullptr, sizeof(Record), PROT_READ | PROT_WRITE, MAP_SHARED, record_fd.get(), 0));
    }
    ~Consumer() { ::munmap(record, sizeof(Record)); }
    UniqueFd record_fd;
    Record* record;
    std::unique_ptr<Peer> peer;
    UniqueFd page_fd;
    std::optional<TaskPageView> page;  // of this run; none: not yet offered
    std::vector<ReadState> states;     // with which this run began
    std::map<uint32_t, uint64_t> slots;
    std::set<uint64_t> left;
    uint32_t run = 0;
    uint64_t deaths = 0;
  };

  static void DieAt(Words& words, const std::string& point, uint64_t after) {
    point.copy(words.die_at, sizeof words.die_at - 1);
    words.die_after = after;
  }
  void TellPublisher(const Words& words, std::span<const int> fds = {}) { (void)Tell(publisher_->socket(), words, fds); }

  // ---- publisher
  void StartPublisher() {
    publisher_ = std::make_unique<Peer>();
    offered_ = false;
    Words words{.say = Say::kPublish, .run = ++publisher_run_, .lane = 1000 + publisher_run_, .seed = random_()};
    words.base = lanes_.empty() ? options_.base : lanes_.back().ring.tail();
    words.fixed = options_.fixed;
    words.asymmetric = options_.asymmetric;
    if (options_.own_uids) words.uid = 65'000;
    words.subscription = kConsumers;
    DieAt(words, options_.publisher_dies_at, options_.die_after);
    next_lane_ = words.lane;
    next_base_ = words.base;
    TellPublisher(words);
    if (finishing_) TellPublisher({.say = Say::kFinish});
  }
  bool HearPublisher() {
    Packet packet = ReceivePacket(publisher_->socket());
    Words words;
    if (!Hear(packet, words)) return false;
    Lane lane{.id = next_lane_, .base = next_base_, .fd = std::move(packet.fds.at(0))};
    auto segment = Segment::MapReadOnly(Duplicate(lane.fd.get()), Seals::kOneWriter, sizeof(RingHeader));
    EXPECT_TRUE(segment.ok()) << segment.status();
    lane.segment = *std::move(segment);
    lane.ring = RingReader::Open({lane.segment.data(), lane.segment.size()}).value();
    lanes_.push_back(std::move(lane));
    offered_ = true;
    for (uint32_t i = 0; i < kConsumers; ++i) {
      if (consumers_[i]->page) Wire(i, lanes_.back());
    }
    return true;
  }
  void PublisherDied() {
    publisher_->Kill();
    ++publisher_deaths_;
    if (offered_) {
      lanes_.back().dead = true;
      for (auto& consumer : consumers_) (void)Tell(consumer->peer->socket(), {.say = Say::kEnded, .lane = lanes_.back().id});
    }
    // Nothing comes after a completion, also if its publisher died of telling it.
    over_ = offered_ && Completed(lanes_.back());
    if (!over_) StartPublisher();
  }
  static bool Completed(const Lane& lane) {
    const auto* header = reinterpret_cast<const RingHeader*>(lane.segment.data());
    return header->closed.load() != 0 && lane.ring.tail() != header->close_number.load();
  }

  // ---- consumers
  void StartConsumer(uint32_t i) {
    Consumer& c = *consumers_[i];
    c.peer = std::make_unique<Peer>();
    c.page.reset();
    c.slots.clear();
    Words words{.say = Say::kConsume, .run = ++c.run};
    if (options_.own_uids) words.uid = 65'001 + i;
    DieAt(words, options_.consumer_dies_at, options_.die_after);
    ASSERT_LE(c.states.size(), std::size(words.state));
    for (const ReadState& state : c.states) {
      c.slots[words.states] = state.lane_id;
      words.state[words.states++] = state;
    }
    const int fd = c.record_fd.get();
    (void)Tell(c.peer->socket(), words, std::span(&fd, 1));
  }
  bool HearConsumer(uint32_t i) {
    Consumer& c = *consumers_[i];
    Packet packet = ReceivePacket(c.peer->socket());
    Words words;
    if (!Hear(packet, words)) return false;
    if (words.say == Say::kLeft) c.left.insert(words.lane);
    if (words.say != Say::kPage) return true;
    c.page_fd = std::move(packet.fds.at(0));
    c.page = TaskPageView::Open(Duplicate(c.page_fd.get())).value();
    for (const Lane& lane : lanes_) {
      if (!c.left.contains(lane.id)) Wire(i, lane);
    }
    return true;
  }
  void ConsumerDied(uint32_t i) {
    Consumer& c = *consumers_[i];
    c.peer->Kill();
    ++c.deaths;
    if (c.page) {
      c.states = c.page->States();
      for (uint32_t s = 0; s < c.page->constants().slots; ++s) WakeShared(reinterpret_cast<const Word32*>(&c.page->slot(s).position));
    }
    std::erase_if(c.states, [&](const ReadState& state) { return c.left.contains(state.lane_id); });
    StartConsumer(i);
  }
  // A slot that has the lane already, or one that is free, or whose lane is drained and left.
  static uint32_t SlotFor(Consumer& c, uint64_t lane) {
    for (auto& [slot, holder] : c.slots) {
      if (holder == lane) return slot;
    }
    uint32_t slot = 0;
    while (c.slots.contains(slot) && !c.left.contains(c.slots[slot])) ++slot;
    c.slots[slot] = lane;
    return slot;
  }
  void Wire(uint32_t i, const Lane& lane) {
    Consumer& c = *consumers_[i];
    Words words{.say = Say::kAttachPage, .lane = lane.id, .base = lane.base, .slot = SlotFor(c, lane.id), .subscription = i};
    const int page = c.page_fd.get(), fd = lane.fd.get();
    if (!lane.dead) TellPublisher(words, std::span(&page, 1));
    words.say = Say::kAttachLane;
    (void)Tell(c.peer->socket(), words, std::span(&fd, 1));
    if (lane.dead) (void)Tell(c.peer->socket(), {.say = Say::kEnded, .lane = lane.id});
  }

  StormOptions options_;
  std::mt19937_64 random_;
  std::unique_ptr<Peer> publisher_;
  std::vector<Lane> lanes_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  uint32_t publisher_run_ = 0;
  uint64_t publisher_deaths_ = 0, next_lane_ = 0, next_base_ = 0;
  bool offered_ = false, finishing_ = false;
  bool over_ = false;  // completed by a publisher that is dead
};

struct Case {
  const char* name;
  StormOptions options;
};
std::string Name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
constexpr uint64_t kWraps = ~uint64_t{0} - 9, kLowHalfWraps = (uint64_t{1} << 32) - 16;

class Storms : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Rings, Storms,
                         ::testing::Values(Case{"DescriptorsFenced", {.base = kWraps}},
                                           Case{"FixedFenced", {.base = kLowHalfWraps, .fixed = true}},
                                           Case{"DescriptorsAsymmetric", {.base = kLowHalfWraps, .asymmetric = true}},
                                           Case{"FixedAsymmetric", {.base = kWraps, .fixed = true, .asymmetric = true}}),
                         Name);

TEST_P(Storms, LoseNothingAndRepeatOneMessageADeath) {
  SCOPED_TRACE("PUMA_SEED=" + std::to_string(Seed()));
  std::mt19937_64 random(Seed() ^ 1);
  Storm storm(GetParam().options);
  for (int kill = 0; kill < 60; ++kill) {
    storm.Serve(std::chrono::microseconds(random() % 20'000));
    const uint32_t victim = random() % (Storm::kConsumers + 1);
    if (victim == Storm::kConsumers) {
      storm.KillPublisher();
    } else {
      storm.KillConsumer(victim);
    }
  }
  storm.Finish();
}

// Descriptors are all that they share.
TEST(StormsOfSeveralUsers, LoseNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be several users";
  for (bool asymmetric : {false, true}) {
    Storm storm({.base = kWraps, .asymmetric = asymmetric, .own_uids = true});
    std::mt19937_64 random(Seed());
    for (uint32_t kill = 0; kill < 12; ++kill) {
      storm.Serve(std::chrono::microseconds(random() % 20'000));
      kill % 3 == Storm::kConsumers ? storm.KillPublisher() : storm.KillConsumer(kill % 3);
    }
    storm.Finish();
  }
}

// Every incarnation dies at its n-th pass, until many have; each time the others go on.
class Deaths : public ::testing::TestWithParam<const char*> {};
std::string PointName(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) c = isalnum(c) ? c : '_';
  return name;
}

class PublisherDeaths : public Deaths {};
INSTANTIATE_TEST_SUITE_P(Between, PublisherDeaths,
                         ::testing::Values("payload | descriptor", "descriptor | tail", "tail | look at sleepers",
                                           "look at sleepers | wake", "published", "released | overwrite", "want position | want",
                                           "want | look", "look at positions | wait"),
                         PointName);
TEST_P(PublisherDeaths, LoseNothingOfWhatWasPublished) {
  for (uint64_t after : {0, 20}) {
    Storm storm({.base = kWraps, .publisher_dies_at = GetParam(), .die_after = after});
    while (storm.publisher_deaths() < 3) storm.Serve(std::chrono::milliseconds(1));
    storm.Finish();
    EXPECT_EQ(storm.record(0).duplicates, 0u);
  }
}

class CompletionDeaths : public Deaths {};
INSTANTIATE_TEST_SUITE_P(Between, CompletionDeaths, ::testing::Values("close number | closed", "closed | descriptor"), PointName);
TEST_P(CompletionDeaths, LeaveALaneThatIsNotCompleted) {
  Storm storm({.base = kWraps, .publisher_dies_at = GetParam()});
  while (!storm.EveryoneHasRead(100)) storm.Serve(std::chrono::milliseconds(1));
  storm.Finish();  // its publisher dies on the way, the next one completes
  EXPECT_EQ(storm.publisher_deaths(), 1u);
}

class ConsumerDeaths : public Deaths {};
INSTANTIATE_TEST_SUITE_P(Between, ConsumerDeaths,
                         ::testing::Values("no tag | position", "position | tag", "handler | next", "next | deliveries",
                                           "deliveries | in hand", "next | position", "position | look at want", "look at want | wake",
                                           "position | sleep", "sleep | look", "look | wait"),
                         PointName);
TEST_P(ConsumerDeaths, RepeatOneMessageAtMost) {
  for (uint64_t after : {0, 20}) {
    if (after != 0 && std::string_view(GetParam()).ends_with("tag")) continue;  // passed once a lane
    if (after != 0 && std::string_view(GetParam()) == "no tag | position") continue;
    Storm storm({.base = kWraps, .consumer_dies_at = GetParam(), .die_after = after});
    while (storm.kills(0) < 3) storm.Serve(std::chrono::milliseconds(1));
    storm.Finish();
  }
}

}  // namespace
}  // namespace puma
