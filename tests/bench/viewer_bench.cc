// What viewers get, against a gRPC server that does nothing but send: how late changes of tasks come, and how many log records.
//   viewer_bench [repetitions] [part of a case's name]
// The API server is the real one, with the real feeds, in a process of its own; only the engine behind it is not, so that nothing but the
// change itself happens.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "puma/v1/services.grpc.pb.h"
#include "tests/bench/bench.h"
#include "tests/rpc/fake_host.h"

extern char** environ;

namespace puma::bench {
namespace {

constexpr int kTasks = 1000;
constexpr int kRecordsOfBatch = 512;
const std::string kText(80, 'm');  // of a record

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "viewer_bench: %s\n", why.c_str());
  std::exit(1);
}

// ---- the server's process: orders come on its standard input, one a line, and are answered on its standard output
// ------------------------

// Batches as the host makes them, as fast as the transport takes them.
class BareStream : public v1::LogService::CallbackService {
  class Writer : public grpc::ServerWriteReactor<v1::TailLogsResponse> {
   public:
    explicit Writer(int records) : batches_(records / kRecordsOfBatch) {
      v1::LogSource& source = *batch_.add_sources();
      source.set_pipeline("p");
      source.set_task("t");
      source.set_run(1);
      for (int i = 0; i < kRecordsOfBatch; ++i) {
        v1::LogRecord& record = *batch_.add_records();
        record.set_time_unix_nanos(absl::GetCurrentTimeNanos());
        record.set_severity(9);
        record.set_message(kText);
        record.set_stream(v1::LOG_STREAM_LOG);
        record.set_sequence(static_cast<uint64_t>(1'000'000 + i));
      }
      Go();
    }
    void OnWriteDone(bool ok) override { ok ? Go() : Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    void Go() {
      if (batches_-- == 0) return Finish(grpc::Status::OK);
      StartWrite(&batch_);
    }
    int batches_;
    v1::TailLogsResponse batch_;
  };
  grpc::ServerWriteReactor<v1::TailLogsResponse>* TailLogs(grpc::CallbackServerContext*, const v1::TailLogsRequest* request) override {
    return new Writer(request->history());
  }
};

int64_t ResidentKilobytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

v1::Task TaskNumber(int number) {
  v1::Task task;
  task.set_name(absl::StrCat("pipelines/p/tasks/t", number));
  task.mutable_spec()->set_type("flow.Servant");
  task.mutable_status()->set_state(v1::TASK_STATE_RUNNING);
  return task;
}

int Serve(const std::string& directory) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  server::ApiServer::Options options;
  options.connections_of_one = 1024;
  server::FakeHost host(options, directory + "/host.sock");
  BareStream bare;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + directory + "/bare.sock", grpc::InsecureServerCredentials());
  builder.RegisterService(&bare);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  for (int i = 0; i < kTasks; ++i) host.tasks().Put(TaskNumber(i));
  std::cout << "serving" << std::endl;
  std::string order;
  int64_t number = 0;
  while (std::cin >> order >> number) {
    if (order == "change") {  // the number is how many; each says when it was made
      for (int64_t i = 0; i < number; ++i) {
        v1::Task task = TaskNumber(static_cast<int>(i % kTasks));
        task.mutable_status()->set_run(absl::GetCurrentTimeNanos());
        host.tasks().Put(task);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));  // all viewers have heard of it by then
      }
    } else if (order == "log") {
      const double begin = NowSeconds();
      for (int64_t i = 0; i < number; i += kRecordsOfBatch) host.Log("p", "t", kText, 9, kRecordsOfBatch);
      std::cout << NowSeconds() - begin << " ";
    }
    std::cout << ResidentKilobytes() << std::endl;
  }
  return 0;
}

class Server {
 public:
  Server() {
    char name[] = "/tmp/puma-bench.XXXXXX";
    directory_ = mkdtemp(name);
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) Fail("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::string self = "/proc/self/exe", serve = "--serve";
    char* words[] = {self.data(), serve.data(), directory_.data(), nullptr};
    if (posix_spawn(&pid_, words[0], &actions, nullptr, words, environ) != 0) Fail("can't start the server");
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    in_ = fdopen(in[1], "w");
    out_ = fdopen(out[0], "r");
    char line[64];
    if (std::fgets(line, sizeof(line), out_) == nullptr) Fail("the server does not come up");
  }
  ~Server() {
    std::fclose(in_);
    std::fclose(out_);
    waitpid(pid_, nullptr, 0);
    std::filesystem::remove_all(directory_);
  }
  // The figures that it answers, in order.
  std::array<double, 2> Order(const std::string& order, int64_t number) {
    std::fprintf(in_, "%s %lld\n", order.c_str(), static_cast<long long>(number));
    std::fflush(in_);
    char line[128];
    if (std::fgets(line, sizeof(line), out_) == nullptr) Fail("the server has ended");
    std::array<double, 2> figures{};
    std::sscanf(line, "%lf %lf", &figures[0], &figures[1]);
    return figures;
  }
  std::shared_ptr<grpc::Channel> Connect(const char* socket) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("unix:", directory_, "/", socket), grpc::InsecureChannelCredentials(), arguments);
  }

 private:
  std::string directory_;
  pid_t pid_ = 0;
  FILE *in_ = nullptr, *out_ = nullptr;
};

// ---- clients ---------------------------------------------------------------------------------------------------------------------------

// Watches all tasks, and notes how late each change was.
class Viewer : public grpc::ClientReadReactor<v1::WatchTasksResponse> {
 public:
  explicit Viewer(v1::TaskService::Stub& stub) {
    stub.async()->WatchTasks(&context_, &request_, this);
    StartRead(&batch_);
    StartCall();
  }
  void WaitForSnapshot() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return live_ || over_; });
    if (over_) Fail("a watch ended: " + status_.error_message());
  }
  void End() {
    context_.TryCancel();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return over_; });
  }
  std::vector<double> TakeDelays() {
    const std::lock_guard lock(mutex_);
    return std::exchange(delays_, {});
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    const int64_t now = absl::GetCurrentTimeNanos();
    {
      const std::lock_guard lock(mutex_);
      for (const v1::TaskEvent& event : batch_.events()) {
        if (live_ && event.has_task()) delays_.push_back(static_cast<double>(now - event.task().status().run()) / 1e6);
        live_ = live_ || event.snapshot_complete();
      }
    }
    changed_.notify_all();
    StartRead(&batch_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::lock_guard lock(mutex_);
    status_ = status;
    over_ = true;
    changed_.notify_all();
  }
  grpc::ClientContext context_;
  v1::WatchTasksRequest request_;
  v1::WatchTasksResponse batch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<double> delays_;
  grpc::Status status_;
  bool live_ = false, over_ = false;
};

// The median of how late changes are with so many viewers, in milliseconds.
double Delay(Server& server, int viewers, int changes) {
  std::vector<std::unique_ptr<v1::TaskService::Stub>> stubs;
  for (int i = 0; i < viewers; i += 50) stubs.push_back(v1::TaskService::NewStub(server.Connect("host.sock")));
  std::vector<std::unique_ptr<Viewer>> all;
  for (int i = 0; i < viewers; ++i) all.push_back(std::make_unique<Viewer>(*stubs[static_cast<size_t>(i) % stubs.size()]));
  for (auto& viewer : all) viewer->WaitForSnapshot();
  server.Order("change", changes);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the last ones are on their way
  std::vector<double> delays;
  for (auto& viewer : all) {
    const std::vector<double> own = viewer->TakeDelays();
    delays.insert(delays.end(), own.begin(), own.end());
  }
  for (auto& viewer : all) viewer->End();
  if (delays.size() < static_cast<size_t>(changes)) Fail("changes are missing");
  std::nth_element(delays.begin(), delays.begin() + static_cast<std::ptrdiff_t>(delays.size() / 2), delays.end());
  return delays[delays.size() / 2];
}

// Millions of records a second that one client reads: of what a server has, to its end.
double ReadRate(Server& server, const char* socket, int history) {
  v1::LogService::Stub stub(server.Connect(socket));
  grpc::ClientContext context;
  v1::TailLogsRequest request;
  request.set_history(history);
  v1::TailLogsResponse batch;
  int64_t records = 0;
  const double begin = NowSeconds();
  const auto stream = stub.TailLogs(&context, request);
  while (stream->Read(&batch)) records += batch.records_size();
  const double took = NowSeconds() - begin;
  if (!stream->Finish().ok() || records == 0) Fail("the records did not come");
  return static_cast<double>(records) / took / 1e6;
}

// Follows the log, or begins to and never reads.
class Follower {
 public:
  Follower(const std::shared_ptr<grpc::Channel>& channel, bool reads) : stub_(channel) {
    request_.set_follow(true);
    stream_ = stub_.TailLogs(&context_, request_);
    stream_->WaitForInitialMetadata();
    if (reads) thread_ = std::thread([this] { Read(); });
  }
  ~Follower() {
    context_.TryCancel();
    if (thread_.joinable()) thread_.join();
    v1::TailLogsResponse rest;
    while (!thread_.joinable() && stream_->Read(&rest)) continue;
    stream_->Finish();
  }
  int64_t records() const { return records_.load(); }
  int64_t missed() const { return missed_.load(); }

 private:
  void Read() {
    v1::TailLogsResponse batch;
    while (stream_->Read(&batch)) {
      records_ += batch.records_size();
      missed_ += static_cast<int64_t>(batch.gap().count());
    }
  }
  v1::LogService::Stub stub_;
  grpc::ClientContext context_;
  v1::TailLogsRequest request_;
  std::unique_ptr<grpc::ClientReader<v1::TailLogsResponse>> stream_;
  std::atomic<int64_t> records_{0}, missed_{0};
  std::thread thread_;
};

// Millions of records a second that the log takes, with followers that don't read.
double AppendRate(Server& server, int stuck, int records) {
  std::vector<std::unique_ptr<Follower>> followers;
  std::shared_ptr<grpc::Channel> channel;
  for (int i = 0; i < stuck; ++i) {
    if (i % 50 == 0) channel = server.Connect("host.sock");
    followers.push_back(std::make_unique<Follower>(channel, false));
  }
  return records / server.Order("log", records)[0] / 1e6;
}

int Main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--serve") == 0) return Serve(argv[2]);
  Server server;
  server.Order("log", 400'000);  // more than it remembers
  Bench bench;
  bench.Add("bare stream of records to one client", "M/s", "", [&] { return ReadRate(server, "bare.sock", 400'000); });
  bench.Add("TailLogs, all that is remembered, to one client", "M/s", "bare stream of records to one client",
            [&] { return ReadRate(server, "host.sock", -1); });
  bench.Add("the log takes records, nobody follows", "M/s", "", [&] { return AppendRate(server, 0, 200'000); });
  bench.Add("the log takes records, 1,000 followers are stuck", "M/s", "the log takes records, nobody follows",
            [&] { return AppendRate(server, 1000, 200'000); });
  bench.Add("a change reaches 1 viewer of 1,000 tasks", "ms", "", [&] { return Delay(server, 1, 20); });
  bench.Add("a change reaches each of 10 viewers", "ms", "a change reaches 1 viewer of 1,000 tasks", [&] { return Delay(server, 10, 20); });
  bench.Add("a change reaches each of 1,000 viewers", "ms", "a change reaches 1 viewer of 1,000 tasks",
            [&] { return Delay(server, 1000, 20); });
  bench.Add("the server's memory, at the end of the round", "MiB", "", [&] { return server.Order("rss", 0)[0] / 1024; });
  return bench.Run(argc, argv);
}

}  // namespace
}  // namespace puma::bench

int main(int argc, char** argv) { return puma::bench::Main(argc, argv); }
