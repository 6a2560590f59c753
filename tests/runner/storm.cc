#include "tests/runner/storm.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "tests/runner/storm_notes.h"
#include "worker/buffer/segment.h"
#include "worker/platform/seqpacket.h"

namespace puma::testing {
namespace {

constexpr uint64_t kFirstConsumer = 100;  // uids of consumers begin here

UniqueFd Duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

}  // namespace

// ---- what it keeps
// -----------------------------------------------------------------------------------------------------------------------

// Memory that a task writes and that survives it.
struct Storm::Ledger {
  explicit Ledger(size_t bytes) : fd(::memfd_create("ledger", MFD_CLOEXEC)), size(bytes) {
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    EXPECT_NE(memory, MAP_FAILED);
  }
  ~Ledger() { ::munmap(memory, size); }
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  UniqueFd fd;
  size_t size;
  void* memory;
};

struct Storm::Peer {
  explicit Peer(const std::string& program) {
    auto [ours, theirs] = SeqpacketPair();
    socket = std::move(ours);
    const UniqueFd high(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 100));  // dup2 onto itself would leave CLOEXEC
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, high.get(), kTaskSocket);
    char* const argv[] = {const_cast<char*>(program.c_str()), nullptr};
    EXPECT_EQ(::posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, environ), 0) << program;
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Peer() { Kill(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  // Kills it if it is not dead yet; afterwards it is proven dead. What it said before can still be heard.
  void Kill() {
    if (pid <= 1) return;
    ::kill(pid, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "a task ended by itself: " << status;
    pid = -1;
  }
  UniqueFd socket;
  pid_t pid = -1;
};

struct Storm::Lane {
  PublishedLane facts;
  uint32_t epoch = 0;
  UniqueFd fd;
  Segment segment;
  RingReader ring;
  bool dead = false;  // its process is
  bool forgotten = false;
};

struct Storm::Task {
  Task(uint64_t uid_given, size_t ledger_bytes) : uid(uid_given), ledger(ledger_bytes) {}
  uint64_t uid;
  uint32_t run = 0;
  Ledger ledger;
  std::unique_ptr<Peer> peer;
};
struct Storm::Publisher : Task {
  explicit Publisher(uint64_t uid_given) : Task(uid_given, sizeof(PublisherLedger)) {}
  PublisherLedger& book() const { return *static_cast<PublisherLedger*>(ledger.memory); }
  uint64_t lane = 0;  // of this run
  bool offered = false;
};
struct Storm::Consumer : Task {
  explicit Consumer(uint64_t uid_given) : Task(uid_given, sizeof(ConsumerLedger)) {}
  ConsumerLedger& book() const { return *static_cast<ConsumerLedger*>(ledger.memory); }
  UniqueFd page_fd;
  std::optional<TaskPageView> page;      // of this run; none: not yet offered
  std::map<uint64_t, ReadState> states;  // with which this run began, by lane
  std::map<uint32_t, uint64_t> slots;    // which lane has which
  std::set<uint64_t> left;               // drained
};

// ---- its life
// ----------------------------------------------------------------------------------------------------------------------------

Storm::Storm(StormOptions options) : options_(std::move(options)), random_(options_.seed) {
  for (uint32_t i = 0; i < options_.consumers; ++i) {
    consumers_.push_back(std::make_unique<Consumer>(kFirstConsumer + i));
    StartConsumer(*consumers_.back());
  }
  for (uint64_t uid : {kPlainPublisher, kVariedPublisher}) {
    publishers_.push_back(std::make_unique<Publisher>(uid));
    StartPublisher(*publishers_.back());
  }
}

Storm::~Storm() = default;

void Storm::Serve(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  do {
    std::vector<pollfd> sockets;
    for (const auto& p : publishers_) sockets.push_back({p->peer->socket.get(), POLLIN, 0});
    for (const auto& c : consumers_) sockets.push_back({c->peer->socket.get(), POLLIN, 0});
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - std::chrono::steady_clock::now()).count();
    const timespec pause{0, std::clamp<long>(left, 0, 999'999'999)};
    if (::ppoll(sockets.data(), sockets.size(), &pause, nullptr) <= 0) continue;
    for (size_t i = 0; i < sockets.size(); ++i) {
      if (sockets[i].revents == 0) continue;
      const bool alive = i < publishers_.size() ? Hear(*publishers_[i]) : Hear(*consumers_[i - publishers_.size()]);
      if (!alive) {
        ADD_FAILURE() << "a task ended by itself";
        if (i < publishers_.size()) Died(*publishers_[i]);
        if (i >= publishers_.size()) Died(*consumers_[i - publishers_.size()]);
      }
    }
  } while (std::chrono::steady_clock::now() < end);
}

void Storm::Kill(uint64_t kills) {
  for (uint64_t i = 0; i < kills && !::testing::Test::HasFailure(); ++i) {
    Serve(std::chrono::microseconds(random_() % (options_.pause.count() + 1)));
    const size_t victim = random_() % (publishers_.size() + consumers_.size());
    ++kills_;
    if (victim < publishers_.size()) {
      Publisher& p = *publishers_[victim];
      p.peer->Kill();
      while (Hear(p)) {
      }
      Died(p);
    } else {
      Consumer& c = *consumers_[victim - publishers_.size()];
      c.peer->Kill();
      while (Hear(c)) {
      }
      Died(c);
    }
    ForgetDrainedLanes();
  }
}

std::vector<std::string> Storm::FinishAndCheck() {
  finishing_ = true;
  for (auto& p : publishers_) p->book().finish = 1;
  uint64_t mark = ProgressMark();
  auto moved = std::chrono::steady_clock::now();
  while (!AllCompleted() && std::chrono::steady_clock::now() - moved < options_.patience) {
    Serve(std::chrono::milliseconds(2));
    if (const uint64_t now = ProgressMark(); now != mark) {
      mark = now;
      moved = std::chrono::steady_clock::now();
    }
  }
  for (auto& p : publishers_) {
    p->peer->Kill();
    if (Lane* lane = p->offered ? Find(p->lane) : nullptr) {
      lane->dead = true;
      lane->facts.begun = p->book().begun;
      lane->facts.accepted = p->book().accepted;
      lane->facts.tail = lane->ring.tail();
      if (lane->ring.header().closed != 0 && lane->ring.header().close_number == lane->facts.tail - 1) --lane->facts.tail;
    }
  }
  std::vector<std::string> faults;
  for (auto& c : consumers_) {
    c->peer->Kill();
    History history;
    for (const auto& lane : lanes_) history.lanes.push_back(lane->facts);
    history.foreign = c->book().foreign;
    history.completed = c->book().completed != 0;
    for (uint64_t i = 0; i < c->book().used; ++i) {
      const Stretch& s = c->book().stretches[i];
      history.seen.push_back({s.lane, s.first, s.count, s.run, s.redelivered != 0});
      duplicates_ += s.redelivered;
    }
    for (std::string& fault : FaultsOf(history)) faults.push_back("consumer " + std::to_string(c->uid) + ": " + std::move(fault));
  }
  return faults;
}

bool Storm::AllCompleted() const {
  return std::all_of(consumers_.begin(), consumers_.end(), [](const auto& c) { return c->book().completed != 0; });
}

uint64_t Storm::messages() const {
  uint64_t sum = 0;
  for (const auto& c : consumers_) {
    for (uint64_t i = 0; i < c->book().used; ++i) sum += c->book().stretches[i].count;
  }
  return sum;
}

uint64_t Storm::ProgressMark() const {
  uint64_t sum = messages();
  for (const auto& c : consumers_) sum += c->book().completed;
  return sum;
}

// ---- publishers
// --------------------------------------------------------------------------------------------------------------------------

void Storm::Start(Task& task, const control::StartSpec& spec) {
  task.peer = std::make_unique<Peer>(options_.task);
  const UniqueFd given = control::ToMemfd(spec).value();
  const int fds[] = {given.get(), task.ledger.fd.get()};
  (void)Tell(task.peer->socket.get(), Note{.say = Say::kStart, .seed = random_()}, fds);
}

void Storm::StartPublisher(Publisher& p) {
  p.book().begun = p.book().accepted = 0;
  p.offered = false;
  p.lane = next_lane_++;
  control::StartSpec spec;
  spec.pipeline = "storm";
  spec.name = "source";
  spec.task = p.uid;
  spec.run = ++p.run;
  control::OutputSpec output;
  output.port = "out";
  output.buffer = "buffer";
  output.epoch = p.run;
  output.capacity = 13;
  output.payload_bytes = 4096;
  output.on_full = "block";
  output.lanes = {{p.lane, 0, {}}};
  for (const auto& c : consumers_) output.lanes[0].subscriptions.push_back(c->uid);
  spec.outputs = {output};
  Start(p, spec);
}

// False: it is dead, and all that it said has been heard.
bool Storm::Hear(Publisher& p) {
  Packet packet = ReceivePacket(p.peer->socket.get());
  Note note;
  if (!testing::Hear(packet, note)) return false;
  if (note.say != Say::kLane) return true;  // its page: it reads nothing
  auto lane = std::make_unique<Lane>();
  lane->facts.lane = note.lane;
  lane->facts.publisher = p.uid;
  lane->epoch = p.run;
  lane->fd = std::move(packet.fds.at(0));
  lane->segment = Segment::MapReadOnly(Duplicate(lane->fd.get()), Seals::kOneWriter, sizeof(RingHeader)).value();
  lane->ring = RingReader::Open({lane->segment.data(), lane->segment.size()}).value();
  lanes_.push_back(std::move(lane));
  p.offered = true;
  for (auto& c : consumers_) {
    if (c->page) Wire(*c, *lanes_.back());
  }
  return true;
}

void Storm::Died(Publisher& p) {
  p.peer->Kill();
  if (Lane* lane = p.offered ? Find(p.lane) : nullptr) {
    lane->dead = true;
    lane->facts.begun = p.book().begun;
    lane->facts.accepted = p.book().accepted;
    lane->facts.tail = lane->ring.tail();
    WakeShared(lane->ring.tail_word());  // it may have died between its tail and its wake
  }
  StartPublisher(p);
}

// ---- consumers
// ---------------------------------------------------------------------------------------------------------------------------

void Storm::StartConsumer(Consumer& c) {
  c.page.reset();
  c.slots.clear();
  control::StartSpec spec;
  spec.pipeline = "storm";
  spec.name = "sink";
  spec.task = c.uid;
  spec.run = ++c.run;
  for (uint64_t uid : {kPlainPublisher, kVariedPublisher}) {
    control::InputSpec input;
    input.port = uid == kPlainPublisher ? "plain" : "varied";
    input.buffer = "buffer";
    input.publishers = {uid};
    for (const auto& [id, state] : c.states) {
      const Lane& lane = *Find(id);
      if (lane.facts.publisher != uid) continue;
      const uint32_t slot = static_cast<uint32_t>(c.slots.size());
      c.slots[slot] = id;
      input.lanes.push_back({id, uid, lane.epoch, slot, state.next, state.deliveries});
    }
    spec.inputs.push_back(input);
  }
  Start(c, spec);
}

bool Storm::Hear(Consumer& c) {
  Packet packet = ReceivePacket(c.peer->socket.get());
  Note note;
  if (!testing::Hear(packet, note)) return false;
  if (note.say != Say::kPage) return true;
  c.page_fd = std::move(packet.fds.at(0));
  c.page = TaskPageView::Open(Duplicate(c.page_fd.get())).value();
  for (const auto& lane : lanes_) {
    if (!lane->forgotten && !Drained(c, *lane)) Wire(c, *lane);
  }
  return true;
}

// The newest page says where everything stands.
void Storm::Died(Consumer& c) {
  c.peer->Kill();
  if (c.page) {
    for (const ReadState& state : c.page->States()) c.states[state.lane_id] = state;
    for (uint32_t i = 0; i < c.page->constants().slots; ++i) WakeShared(reinterpret_cast<const Word32*>(&c.page->slot(i).position));
  }
  std::erase_if(c.states, [&](const auto& state) { return Drained(c, *Find(state.first)); });
  StartConsumer(c);
}

// All of a dead publisher's lane has been handled. Once true it stays so, whoever has the slot by then.
bool Storm::Drained(Consumer& c, const Lane& lane) const {
  if (!lane.dead || c.left.contains(lane.facts.lane)) return lane.dead;
  std::optional<uint64_t> next;
  if (const auto state = c.states.find(lane.facts.lane); state != c.states.end()) next = state->second.next;
  if (c.page) {
    for (uint32_t i = 0; i < c.page->constants().slots; ++i) {
      if (c.page->slot(i).tag == lane.facts.lane) next = c.page->slot(i).next;
    }
  }
  if (next != lane.facts.tail) return false;
  c.left.insert(lane.facts.lane);
  return true;
}

// Its own, a drained lane's, or a fresh one.
uint32_t Storm::SlotFor(Consumer& c, const Lane& lane) {
  uint32_t slot = static_cast<uint32_t>(c.slots.size());
  for (const auto& [taken, holder] : c.slots) {
    if (holder == lane.facts.lane) return taken;
    if (Drained(c, *Find(holder))) slot = taken;
  }
  c.slots[slot] = lane.facts.lane;
  return slot;
}

void Storm::Wire(Consumer& c, Lane& lane) {
  Note note{.say = Say::kAttachPage, .slot = SlotFor(c, lane), .epoch = lane.epoch};
  note.lane = lane.facts.lane;
  note.publisher = lane.facts.publisher;
  note.subscription = c.uid;
  const int page = c.page_fd.get(), fd = lane.fd.get();
  if (!lane.dead) (void)Tell(publishers_[lane.facts.publisher - 1]->peer->socket.get(), note, std::span(&page, 1));
  note.say = Say::kAttachLane;
  (void)Tell(c.peer->socket.get(), note, std::span(&fd, 1));
}

Storm::Lane* Storm::Find(uint64_t id) {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [id](const auto& lane) { return lane->facts.lane == id; });
  return found == lanes_.end() ? nullptr : found->get();
}

// What everybody has drained is let go.
void Storm::ForgetDrainedLanes() {
  for (const auto& lane : lanes_) {
    if (lane->forgotten || !lane->dead) continue;
    if (!std::all_of(consumers_.begin(), consumers_.end(), [&](const auto& c) { return Drained(*c, *lane); })) continue;
    lane->forgotten = true;
    lane->ring = RingReader();
    lane->segment = Segment();
    lane->fd.reset();
  }
}

}  // namespace puma::testing
