#include "tests/rpc/fake_host.h"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/time/clock.h"

namespace puma::server {
namespace {

// Ends the program: there is no test without it.
template <class T>
T Must(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "fake host: %s\n", value.status().ToString().c_str());
  std::abort();
}

}  // namespace

FakeHost::FakeHost(ApiServer::Options options, const std::string& socket, const std::string& access) : options_(std::move(options)) {
  char name[] = "/tmp/puma-fake.XXXXXX";
  directory_ = mkdtemp(name);
  socket_ = socket.empty() ? directory_ + "/puma.sock" : socket;
  if (options_.address == ApiServer::Options().address) options_.address = "unix:" + socket_;
  feed_ = std::make_unique<TaskFeed>();
  LogStore::Options log;
  log.file = directory_ + "/log.jsonl";
  logs_ = Must(LogStore::Open(log));
  events_ = std::make_unique<EventFeed>();
  engine_ = std::make_unique<FakeEngine>(feed_.get());
  access_ = Must(AccessControl::Open(access));
  server_ = Must(ApiServer::Start(options_, engine_.get(), {feed_.get(), events_.get(), logs_.get()}, access_.get()));
}

FakeHost::~FakeHost() {
  server_.reset();
  engine_.reset();
  logs_.reset();
  std::filesystem::remove_all(directory_);
}

void FakeHost::Stop() {
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
}

void FakeHost::StartAgain() {
  auto feed = std::make_unique<TaskFeed>();
  engine_->MoveTo(feed.get());
  feed_ = std::move(feed);
  events_ = std::make_unique<EventFeed>();
  server_ = Must(ApiServer::Start(options_, engine_.get(), {feed_.get(), events_.get(), logs_.get()}, access_.get()));
}

void FakeHost::Log(const std::string& pipeline, const std::string& task, const std::string& text, int32_t severity, int count) {
  auto source = std::make_shared<v1::LogSource>();
  source->set_pipeline(pipeline);
  source->set_task(task);
  source->set_run(1);
  source->set_pid(4711);
  source->set_logger("test");
  source->set_file("fake.cc");
  source->set_line(7);
  std::vector<LogLine> lines;
  for (int i = 0; i < count; ++i) {
    LogLine& line = lines.emplace_back();
    line.source = source;
    line.worker_key = 1;
    line.worker_run = 1;
    line.record.set_time_unix_nanos(absl::GetCurrentTimeNanos());
    line.record.set_severity(severity);
    line.record.set_message(text);
    line.record.set_stream(v1::LOG_STREAM_LOG);
    line.record.set_sequence(++sequence_);
  }
  logs_->Append(std::move(lines));
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time watchdog = absl::Now() + absl::Minutes(1);
  while (absl::Now() < watchdog) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return false;
}

v1::PipelineSpec EdgesSpec() {
  v1::PipelineSpec spec;
  spec.set_pipeline("edges");
  spec.add_modules("edges");
  (*spec.mutable_buffers())["frames"].mutable_capacity()->set_bytes(64 << 20);
  (*spec.mutable_buffers())["edges"].set_on_full(v1::ON_FULL_DROP_OLDEST);
  auto& tasks = *spec.mutable_tasks();
  tasks["loader"].set_type("edges.ImageLoader");
  (*tasks["loader"].mutable_outputs())["frames"] = "frames";
  tasks["detector"].set_type("edges.EdgeDetector");
  tasks["detector"].set_replicas(2);
  (*tasks["detector"].mutable_inputs())["frames"].set_buffer("frames");
  (*tasks["detector"].mutable_outputs())["edges"] = "edges";
  tasks["sink"].set_type("edges.ContactSheet");
  tasks["sink"].set_placement(v1::PLACEMENT_THREAD);
  (*tasks["sink"].mutable_inputs())["edges"].set_buffer("edges");
  return spec;
}

}  // namespace puma::server
