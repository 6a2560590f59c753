#ifndef PUMA_TESTS_RPC_FAKE_HOST_H_
#define PUMA_TESTS_RPC_FAKE_HOST_H_
// The real API server before a fake engine, on a socket in a directory of its own.
#include <functional>
#include <memory>
#include <string>

#include "server/rpc/api_server.h"
#include "tests/rpc/fake_engine.h"

namespace puma::server {

class FakeHost {
 public:
  // Serves when it returns. `socket` empty: one in a temporary directory. `access`: a file of rules.
  explicit FakeHost(ApiServer::Options options = {}, const std::string& socket = "", const std::string& access = "");
  ~FakeHost();

  FakeEngine& engine() { return *engine_; }
  TaskFeed& tasks() { return *feed_; }
  EventFeed& events() { return *events_; }
  LogStore& logs() { return *logs_; }
  AccessControl& access() { return *access_; }
  ApiServer& server() { return *server_; }
  const std::string& socket() const { return socket_; }
  std::string target() const { return "unix:" + socket_; }
  const std::string& directory() const { return directory_; }

  // The host is gone; its socket stays, and nobody listens.
  void Stop();
  // It is back, with the same pipelines and log, and new revisions.
  void StartAgain();

  // Appends records of task "pipeline/task": a worker of pid 4711 counts them on.
  void Log(const std::string& pipeline, const std::string& task, const std::string& text, int32_t severity = 9, int count = 1);

 private:
  ApiServer::Options options_;
  std::string directory_, socket_;
  std::unique_ptr<TaskFeed> feed_;
  std::unique_ptr<EventFeed> events_;
  std::unique_ptr<LogStore> logs_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<ApiServer> server_;
  uint64_t sequence_ = 0;
};

// Waits, at most a minute, until `condition` holds.
bool Eventually(const std::function<bool()>& condition);

// Pipeline "edges" as in the README: a loader, two detectors, a sink; two buffers.
v1::PipelineSpec EdgesSpec();

}  // namespace puma::server
#endif  // PUMA_TESTS_RPC_FAKE_HOST_H_
