// The control plane against what it can't be faster than, in one run: starting a process, an echo over gRPC, an idle machine.
//   control_bench [--rounds N]
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "client/include/puma/client/client.h"
#include "puma/v1/services.grpc.pb.h"

extern char** environ;

namespace puma::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Samples = std::vector<double>;  // milliseconds

double Since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

double Quantile(Samples samples, double q) {
  std::sort(samples.begin(), samples.end());
  return samples[static_cast<size_t>(q * static_cast<double>(samples.size() - 1))];
}

void Print(const std::string& what, const Samples& samples) {
  std::printf("%-46s p50 %8.3f ms   min %8.3f   p99 %8.3f   (%zu)\n", what.c_str(), Quantile(samples, 0.5), Quantile(samples, 0),
              Quantile(samples, 0.99), samples.size());
}

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "control_bench: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T Take(absl::StatusOr<T> result) {
  if (!result.ok()) Fail(result.status().ToString());
  return *std::move(result);
}

int Spawn(const std::vector<std::string>& words, const char* output = nullptr) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output != nullptr) {
    posix_spawn_file_actions_addopen(&actions, 1, output, O_CREAT | O_WRONLY | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
  }
  pid_t pid = 0;
  if (posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) Fail("can't start " + words[0]);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

double RunTrue() {
  const auto start = Clock::now();
  const int pid = Spawn({"/bin/true"});
  waitpid(pid, nullptr, 0);
  return Since(start);
}

// The least that a call can cost: an empty handler behind the same transport.
class Echo : public v1::HostService::CallbackService {
  grpc::ServerUnaryReactor* GetHost(grpc::CallbackServerContext* context, const v1::GetHostRequest*, v1::GetHostResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

int ServeEcho(const std::string& address) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  Echo echo;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&echo);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->Wait();
  return 0;
}

// A host in a directory of its own, with the system tests' module.
class Host {
 public:
  Host() {
    char name[] = "/tmp/puma-bench.XXXXXX";
    directory_ = mkdtemp(name);
    pid_ = Spawn({PUMA_BIN "/puma-host", "--state-dir", directory_ + "/state", "--socket", directory_ + "/puma.sock", "--modules",
                  PUMA_TEST_MODULES},
                 (directory_ + "/host.txt").c_str());
    for (int i = 0; i < 1000 && client_ == nullptr; ++i) {
      auto client = client::Client::Connect(target());
      if (client.ok() && (*client)->GetHost().ok()) client_ = *std::move(client);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (client_ == nullptr) Fail("the host does not answer; see " + directory_ + "/host.txt");
  }
  ~Host() {
    client_.reset();
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
    std::filesystem::remove_all(directory_);
  }
  std::string target() const { return "unix:" + directory_ + "/puma.sock"; }
  client::Client& client() { return *client_; }
  const std::string& directory() const { return directory_; }

  void Apply(const std::string& pipeline, int processes, bool stopped, v1::Placement placement) {
    v1::ApplyPipelineRequest request;
    request.mutable_spec()->set_pipeline(pipeline);
    request.mutable_spec()->add_modules("flow");
    for (int i = 0; i < processes; ++i) {
      v1::TaskSpec& task = (*request.mutable_spec()->mutable_tasks())["t" + std::to_string(i)];
      task.set_type("flow.Servant");
      task.set_placement(placement);
      task.set_stopped(stopped);
    }
    Take(client().ApplyPipeline(request));
  }

 private:
  std::string directory_;
  int pid_;
  std::unique_ptr<client::Client> client_;
};

// Reads a watch until `task` is in `state`.
void WaitFor(client::Stream<v1::WatchTasksResponse>& watch, const std::string& task, v1::TaskState state) {
  for (;;) {
    const std::optional<v1::WatchTasksResponse> batch = Take(watch.Next());
    if (!batch) Fail("the watch ended");
    for (const v1::TaskEvent& event : batch->events()) {
      if (event.has_task() && event.task().name() == task && event.task().status().state() == state) return;
    }
  }
}

// What a start can't do without: the decision is on the disk before it is acted upon.
Samples Syncs(const std::string& directory, int rounds) {
  Samples samples;
  const std::string path = directory + "/sync";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  for (int i = 0; i < rounds; ++i) {
    const auto begin = Clock::now();
    if (file < 0 || pwrite(file, page.data(), page.size(), i * 4096) < 0 || fdatasync(file) != 0) Fail(path);
    samples.push_back(Since(begin));
  }
  close(file);
  return samples;
}

Samples StartToRunning(Host& host, const std::string& task, int rounds, Samples& spawns) {
  Samples samples;
  v1::WatchTasksRequest request;
  request.set_parent(task.substr(0, task.find("/tasks/")));
  auto watch = host.client().WatchTasks(request);
  v1::StartTaskRequest start;
  start.set_name(task);
  v1::StopTaskRequest stop;
  stop.set_name(task);
  for (int i = 0; i < rounds; ++i) {
    spawns.push_back(RunTrue());
    const auto begin = Clock::now();
    Take(host.client().StartTask(start));
    WaitFor(*watch, task, v1::TASK_STATE_RUNNING);
    samples.push_back(Since(begin));
    Take(host.client().StopTask(stop));
    WaitFor(*watch, task, v1::TASK_STATE_STOPPED);
  }
  return samples;
}

double CpuMilliseconds(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  unsigned long long user = 0, system = 0;
  std::sscanf(text.c_str() + text.rfind(')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system);
  return static_cast<double>(user + system) * 1000 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// `callers` at once, each one call after the other.
template <class Call>
Samples Together(int callers, int calls_of_each, const Call& call) {
  std::vector<Samples> samples(static_cast<size_t>(callers));
  std::vector<std::thread> threads;
  for (Samples& own : samples) {
    threads.emplace_back([&] {
      for (int i = 0; i < calls_of_each; ++i) {
        const auto begin = Clock::now();
        call();
        own.push_back(Since(begin));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Samples all;
  for (const Samples& own : samples) all.insert(all.end(), own.begin(), own.end());
  return all;
}

void Calls(Host& host, int rounds) {
  const std::string address = "unix:" + host.directory() + "/echo.sock";
  const int echo = Spawn({"/proc/self/exe", "--echo", address});
  auto bare = client::Client::Connect(address);
  for (int i = 0; i < 500 && !bare.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    bare = client::Client::Connect(address);
  }
  if (!bare.ok()) Fail("the echo server does not answer");
  v1::InvokeCommandRequest add;
  add.set_name("pipelines/calls/tasks/t0");
  add.set_command("add");
  (*add.mutable_arguments())["a"].set_number_value(1);
  (*add.mutable_arguments())["b"].set_number_value(2);
  Samples echoes, commands;
  for (int i = 0; i < rounds * 20; ++i) {
    auto begin = Clock::now();
    Take((*bare)->GetHost());
    echoes.push_back(Since(begin));
    begin = Clock::now();
    Take(host.client().InvokeCommand(add));
    commands.push_back(Since(begin));
  }
  const auto print = [](const std::string& callers, const Samples& echo_samples, const Samples& command_samples) {
    Print("bare gRPC echo, another process" + callers, echo_samples);
    Print("InvokeCommand to a process task" + callers, command_samples);
    std::printf("%-46s p50 %8.2f      p99 %8.2f\n", "  ratio", Quantile(command_samples, 0.5) / Quantile(echo_samples, 0.5),
                Quantile(command_samples, 0.99) / Quantile(echo_samples, 0.99));
  };
  print("", echoes, commands);
  for (const int callers : {8, 64}) {  // the task's ring holds ten commands: most of 64 wait in the host
    const Samples echoes_together = Together(callers, rounds * 2, [&] { Take((*bare)->GetHost()); });
    const Samples commands_together = Together(callers, rounds * 2, [&] { Take(host.client().InvokeCommand(add)); });
    print(", " + std::to_string(callers) + " callers", echoes_together, commands_together);
  }
  kill(echo, SIGTERM);
  waitpid(echo, nullptr, 0);
}

// 10,000 tasks that do not run, in ten pipelines: what lists and plans of so many cost.
void Large(Host& host, int rounds) {
  v1::ApplyPipelineRequest plan;
  for (int i = 0; i < 10; ++i) host.Apply("large" + std::to_string(i), 1000, true, v1::PLACEMENT_PROCESS);
  v1::GetPipelineRequest get;
  get.set_name("pipelines/large0");
  *plan.mutable_spec() = Take(host.client().GetPipeline(get)).pipeline().spec();
  plan.mutable_spec()->set_pipeline("new");
  plan.set_validate_only(true);
  Samples pages, thousands, filtered, plans;
  const auto timed = [](Samples& samples, const auto& call) {
    const auto begin = Clock::now();
    call();
    samples.push_back(Since(begin));
  };
  for (int i = 0; i < rounds; ++i) {
    v1::ListTasksRequest list;
    timed(pages, [&] { Take(host.client().ListTasks(list)); });
    list.set_page_size(1000);
    timed(thousands, [&] { Take(host.client().ListTasks(list)); });
    list.set_filter("state=running");
    timed(filtered, [&] { Take(host.client().ListTasks(list)); });
    timed(plans, [&] { Take(host.client().ApplyPipeline(plan)); });
  }
  Print("ListTasks of 10,000, a page of 100", pages);
  Print("ListTasks of 10,000, a page of 1,000", thousands);
  Print("ListTasks of 10,000, those that run", filtered);
  Print("ApplyPipeline of 1,000 tasks, validate only", plans);
}

int Main(int argc, char** argv) {
  int rounds = 50;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--echo") return ServeEcho(argv[i + 1]);
    if (std::string(argv[i]) == "--rounds") rounds = std::atoi(argv[i + 1]);
  }
  Host host;
  host.Apply("start", 1, true, v1::PLACEMENT_PROCESS);
  host.Apply("thread", 2, false, v1::PLACEMENT_THREAD);
  host.Apply("calls", 1, false, v1::PLACEMENT_PROCESS);
  for (const char* task : {"pipelines/thread/tasks/t0", "pipelines/thread/tasks/t1", "pipelines/calls/tasks/t0"}) {
    auto watch = host.client().WatchTasks();
    WaitFor(*watch, task, v1::TASK_STATE_RUNNING);
  }
  Samples spawns;
  Samples starts = StartToRunning(host, "pipelines/start/tasks/t0", rounds, spawns);
  Samples ignored;
  v1::StopTaskRequest stop;
  stop.set_name("pipelines/thread/tasks/t0");
  Take(host.client().StopTask(stop));
  auto watch = host.client().WatchTasks();
  WaitFor(*watch, stop.name(), v1::TASK_STATE_STOPPED);
  Samples threads = StartToRunning(host, stop.name(), rounds, ignored);
  Print("posix_spawn of /bin/true until waitpid", spawns);
  Print("a page written, fdatasync", Syncs(host.directory(), rounds));
  Print("process task, StartTask until RUNNING", starts);
  std::printf("%-46s p50 %8.2f\n", "  ratio", Quantile(starts, 0.5) / Quantile(spawns, 0.5));
  Print("thread task in a running group", threads);

  Calls(host, rounds);
  {
    Host many;
    Large(many, rounds);
  }

  host.Apply("idle", 50, false, v1::PLACEMENT_PROCESS);
  for (int i = 0; i < 50; ++i) {
    auto all = host.client().WatchTasks();
    WaitFor(*all, "pipelines/idle/tasks/t" + std::to_string(i), v1::TASK_STATE_RUNNING);
  }
  Samples lists;
  for (int i = 0; i < rounds; ++i) {
    const auto begin = Clock::now();
    const int pid = Spawn({PUMA_BIN "/puma-ctl", "--host", host.target(), "get", "tasks"}, "/dev/null");
    waitpid(pid, nullptr, 0);
    lists.push_back(Since(begin));
  }
  Print("puma-ctl get tasks, 54 tasks", lists);

  const v1::Host seen = Take(host.client().GetHost()).host();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const double before = CpuMilliseconds(seen.pid()), before_shim = CpuMilliseconds(seen.shim_pid());
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(20));
  const double wall = Since(begin);
  std::printf("%-46s host %.2f %%, shim %.2f %% of one core\n", "idle, 50 idle process tasks, 20 s",
              (CpuMilliseconds(seen.pid()) - before) / wall * 100, (CpuMilliseconds(seen.shim_pid()) - before_shim) / wall * 100);
  return 0;
}

}  // namespace
}  // namespace puma::bench

int main(int argc, char** argv) { return puma::bench::Main(argc, argv); }
