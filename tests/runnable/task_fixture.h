#ifndef PUMA_TESTS_RUNNABLE_TASK_FIXTURE_H_
#define PUMA_TESTS_RUNNABLE_TASK_FIXTURE_H_
// One task on real lanes, without a host: the test is its publishers, its subscribers and the sender of its commands.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <puma/module.h>
#include <sys/eventfd.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "worker/buffer/lane_reader.h"
#include "worker/control/control_segments.h"
#include "worker/control/failure.h"
#include "worker/platform/mutex.h"
#include "worker/runner/control_commands.h"
#include "worker/runner/task_runner.h"

namespace puma {

// A flag or a list that handlers write and the test waits for.
template <class T>
class Shared {
 public:
  void Add(T value) {
    MutexLock lock(mutex_);
    values_.push_back(std::move(value));
  }
  std::vector<T> Get() {
    MutexLock lock(mutex_);
    return values_;
  }
  size_t size() { return Get().size(); }

 private:
  Mutex mutex_;
  std::vector<T> values_ PUMA_GUARDED_BY(mutex_);
};

inline ::testing::AssertionResult Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (!condition()) {
    if (absl::Now() > deadline) return ::testing::AssertionFailure() << "never came";
    absl::SleepFor(absl::Microseconds(200));
  }
  return ::testing::AssertionSuccess();
}

inline UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

inline internal::PageAttachment PageOf(uint64_t subscription, UniqueFd page, uint32_t page_slot, uint64_t lane = 0) {
  internal::PageAttachment attachment;
  attachment.lane = lane;
  attachment.subscription = subscription;
  attachment.fd = std::move(page);
  attachment.page_slot = page_slot;
  return attachment;
}

// A lane that the test publishes to.
template <class T>
class TestPublisher {
 public:
  TestPublisher(uint64_t uid, uint64_t lane, uint32_t epoch, uint64_t capacity = 64, bool lossy = false) : uid_(uid), epoch_(epoch) {
    internal::LaneOptions options;
    options.lane = lane;
    options.epoch = epoch;
    options.capacity = capacity;
    options.payload_bytes = 1 << 20;
    options.lossy = lossy;
    if (!lossy) options.subscriptions = {kSubscription};
    lane_ = *internal::OutputLane::Create(options, TypeInfo::Of<T>());
    fd_ = lane_->segment().TakeFd();
  }
  static constexpr uint64_t kSubscription = 77;
  void Publish(const T& value, int64_t published_ns = 1, uint16_t flags = 0) {
    auto room = lane_->writer().TryReserve(Codec<T>::Size(value));
    ASSERT_TRUE(room.ok()) << room.status();
    Codec<T>::Encode(value, *room);
    Annotation annotation{};
    annotation.published_ns = published_ns;
    annotation.flags = flags;
    lane_->writer().Commit(room->size(), MessageKind::kValue, flags, &annotation);
  }
  bool HasRoom() { return lane_->writer().HasRoom(sizeof(T)); }
  void Complete(const absl::Status& error = absl::OkStatus()) {
    lane_->writer().Complete(error.ok() ? "" : control::FailureToJson(ErrorOf(error), kErrorBytes));
  }
  internal::LaneAttachment Attachment(const std::string& port, uint32_t page_slot) {
    internal::LaneAttachment a;
    a.port = port;
    a.fd = Duplicate(fd_.get());
    a.lane = lane_->id();
    a.publisher = uid_;
    a.epoch = epoch_;
    a.page_slot = page_slot;
    return a;
  }
  internal::OutputLane& lane() { return *lane_; }
  uint64_t uid() const { return uid_; }

 private:
  uint64_t uid_;
  uint32_t epoch_;
  std::unique_ptr<internal::OutputLane> lane_;
  UniqueFd fd_;
};

class TaskFixture : public ::testing::Test {
 protected:
  TaskFixture() {
    host_ = *control::HostControl::Create(1);
    control_ = *control::WorkerControl::Create(Duplicate(host_->host_fd()), UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), 1);
    EXPECT_TRUE(host_->ConnectWorker(control_->segment().TakeFd()).ok());
    spec_.name = "task";
    spec_.task = TestPublisher<int>::kSubscription;
    spec_.run = 1;
  }
  ~TaskFixture() override { runner_ = nullptr; }

  void Input(const std::string& port, std::vector<uint64_t> publishers, uint32_t lanes_each = 1) {
    control::InputSpec input;
    input.port = port;
    input.buffer = port;
    input.publishers = std::move(publishers);
    input.lanes_each = lanes_each;
    spec_.inputs.push_back(std::move(input));
  }
  void Output(const std::string& port, const std::string& on_full = "block", uint64_t capacity = 64, size_t lanes = 1) {
    control::OutputSpec output;
    output.port = port;
    output.buffer = "buffer of " + port;
    output.capacity = capacity;
    output.payload_bytes = 1 << 20;
    output.on_full = on_full;
    for (size_t i = 0; i < lanes; ++i) output.lanes.push_back({900 + i, static_cast<uint32_t>(i), {500 + i}});
    spec_.outputs.push_back(std::move(output));
  }

  // Makes the task run. A second call is the next run.
  template <class T>
  void Start() {
    Make([](puma::Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<T>(s); });
  }
  void Make(Module::Factory factory) {
    ASSERT_TRUE(control_->OpenSlot(0).ok());
    commands_ = std::make_unique<runner::ControlCommands>(*control_, 0);
    runner::RunnerHooks hooks;
    hooks.load = [factory] { return factory; };
    hooks.offer_page = [this](uint64_t, Segment& s) {
      page_ = s.TakeFd();
      return absl::OkStatus();
    };
    hooks.offer_lane = [this](uint64_t id, Segment& s) {
      MutexLock lock(lanes_mutex_);  // the task's thread offers, the test looks
      lanes_[id] = s.TakeFd();
      return absl::OkStatus();
    };
    hooks.bad_lane = [this](uint64_t lane, const std::string& what) { bad_lanes_.Add({lane, what}); };
    hooks.running = [this] { running_.store(true); };
    hooks.ended = [this] { ended_.store(true); };
    running_ = ended_ = false;
    runner::RunnerOptions options;
    options.commands = commands_.get();
    runner_ = std::make_unique<runner::TaskRunner>(spec_, std::move(hooks), options);
    ASSERT_TRUE(runner_->Start().ok());
  }
  ::testing::AssertionResult Runs() {
    return Eventually([&] { return running_.load() || ended_.load(); });
  }
  internal::Outcome Join() {
    EXPECT_TRUE(Eventually([&] { return ended_.load(); }));
    if (!ended_.load()) runner_->Stop();
    return runner_->Join();
  }
  template <class T>
  void Attach(TestPublisher<T>& publisher, const std::string& port, uint32_t page_slot) {
    ASSERT_TRUE(Runs());
    ASSERT_TRUE(page_.valid());
    ASSERT_TRUE(publisher.lane().SetGate(PageOf(TestPublisher<T>::kSubscription, Duplicate(page_.get()), page_slot)).ok());
    runner_->Attach(publisher.Attachment(port, page_slot));
  }
  // Where the page of the last run says that its lanes stand: what the next run is told.
  ReadState PageState(uint32_t slot) {
    const std::vector<ReadState> states = TaskPageView::Open(Duplicate(page_.get()))->States();
    return slot < states.size() ? states[slot] : ReadState{};
  }
  // The next run goes on where this one ended.
  template <class T>
  void Resume(TestPublisher<T>& publisher, const std::string& port, uint32_t page_slot) {
    const ReadState state = PageState(page_slot);
    ASSERT_EQ(state.lane_id, publisher.lane().id());
    for (control::InputSpec& input : spec_.inputs) {
      if (input.port == port) input.lanes = {{state.lane_id, publisher.uid(), 1, page_slot, state.next, state.deliveries}};
    }
    ++spec_.run;
    host_->ResetSlot(0, 2);
  }
  std::string Call(const std::string& name, const std::string& arguments) {
    control::CommandRecord record{};
    record.id = ++next_id_;
    EXPECT_TRUE(host_->SendCommand(0, record, name, arguments).ok());
    std::string answer = "none";
    bool came = false;
    EXPECT_TRUE(Eventually([&] {
      EXPECT_TRUE(host_
                      ->DrainResults([&](const control::ResultRecord& r, std::string_view text) {
                        came = came || r.id == next_id_;
                        if (r.id == next_id_) answer = std::string(text);
                      })
                      .ok());
      return came || ended_.load();
    }));
    return answer;
  }
  // Reads what the task publishes, as a subscription would: from a page of its own.
  template <class T>
  class Reader {
   public:
    Reader(TaskFixture& fixture, uint64_t lane, uint64_t subscription, uint64_t start = 0) : page_(*TaskPage::Create(subscription, 1, {})) {
      EXPECT_TRUE(Eventually([&] { return fixture.LaneFd(lane) >= 0; }));
      auto reader = LaneReader::Open(Duplicate(fixture.LaneFd(lane)), page_.slot(0), start);
      EXPECT_TRUE(reader.ok()) << reader.status();
      reader_ = *std::move(reader);
      const absl::Status gated = fixture.runner_->SetGate(PageOf(subscription, page_.segment().TakeFd(), 0, lane)).status();
      EXPECT_TRUE(gated.ok() || absl::IsNotFound(gated)) << gated;  // its publisher may have gone on in a larger lane
    }
    // The next value; waits for it. Nothing: completed.
    std::optional<T> Take(Annotation* annotation = nullptr) {
      std::optional<T> value;
      EXPECT_TRUE(Eventually([&] {
        auto item = reader_->Peek();
        EXPECT_TRUE(item.ok()) << item.status();
        if (!item.ok() || !item->has_value()) return !item.ok();
        if ((*item)->kind == MessageKind::kComplete) {
          completed_ = true;
          return true;
        }
        value = *Codec<T>::Decode((*item)->bytes);
        if (annotation != nullptr) *annotation = *(*item)->annotation;
        reader_->Finish();
        reader_->StorePosition();
        return true;
      }));
      return value;
    }
    bool empty() { return reader_->AtEnd(); }
    bool completed() const { return completed_; }

   private:
    TaskPage page_;
    std::unique_ptr<LaneReader> reader_;
    bool completed_ = false;
  };

  control::StartSpec spec_;
  std::unique_ptr<control::HostControl> host_;
  std::unique_ptr<control::WorkerControl> control_;
  std::unique_ptr<runner::ControlCommands> commands_;
  UniqueFd page_;
  int LaneFd(uint64_t lane) {
    MutexLock lock(lanes_mutex_);
    auto it = lanes_.find(lane);
    return it == lanes_.end() ? -1 : it->second.get();
  }
  Shared<std::pair<uint64_t, std::string>> bad_lanes_;  // what the task has told of them
  Mutex lanes_mutex_;
  std::map<uint64_t, UniqueFd> lanes_ PUMA_GUARDED_BY(lanes_mutex_);
  std::atomic<bool> running_{false}, ended_{false};
  uint64_t next_id_ = 0;
  std::unique_ptr<runner::TaskRunner> runner_;
};

}  // namespace puma
#endif  // PUMA_TESTS_RUNNABLE_TASK_FIXTURE_H_
