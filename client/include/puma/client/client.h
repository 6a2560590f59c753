#ifndef PUMA_CLIENT_CLIENT_H_
#define PUMA_CLIENT_CLIENT_H_
// A client of a host. Messages are those of puma.v1.
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "puma/v1/services.pb.h"

namespace puma::client {

struct Options {
  absl::Duration timeout = absl::Seconds(30);     // of a unary call without a deadline of its own
  absl::Duration retry_for = absl::Seconds(2);    // how long an unreachable host is tried again (it may just be restarted)
  absl::Duration resume_for = absl::Seconds(30);  // the same for a stream that has broken

  // For a host's TLS address. Files are PEM, read when the client connects.
  struct Tls {
    std::string ca;                // the authority that the host's certificate comes from
    std::string certificate, key;  // this client's own; "": it has none
    std::string server_name;       // in the host's certificate, when that is not the name it is reached by
  };
  std::optional<Tls> tls;
  std::string token_file;  // a file with a token, which then says who calls; over TLS or a Unix socket only
};

struct CallOptions {
  absl::Time deadline = absl::InfiniteFuture();  // infinite: Options::timeout for a unary call, none for a stream
  std::stop_token stop{};                        // gives the call up: CANCELLED
};

// A stream of batches, pulled. Thread-compatible, but Cancel may come from any thread.
template <class Batch>
class Stream {
 public:
  virtual ~Stream() = default;  // cancels
  // Blocks for the next batch. Nothing: the stream is over. CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE: the host is gone for too long.
  virtual absl::StatusOr<std::optional<Batch>> Next() = 0;
  virtual void Cancel() = 0;
};

// Thread-safe. Every call blocks. Statuses are the host's, with its details as payloads (see details.h); besides: UNAVAILABLE (no host
// there; the message says what to do), DEADLINE_EXCEEDED, CANCELLED. Calls that found no host are tried again for Options::retry_for:
// reads always, mutations since each has a request id (an empty one is filled with a random one).
class Client {
 public:
  // `address` is "unix:/path/of/socket", "/path/of/socket" or "host:port". UNAVAILABLE: no host listens there; PERMISSION_DENIED: the
  // socket, or a file of the options, is not for this user; NOT_FOUND, INVALID_ARGUMENT: the options.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& address, const Options& options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  absl::StatusOr<v1::GetHostResponse> GetHost(const v1::GetHostRequest& request = {}, const CallOptions& options = {});
  absl::StatusOr<v1::GetTypeResponse> GetType(const v1::GetTypeRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::ListTypesResponse> ListTypes(const v1::ListTypesRequest& request = {}, const CallOptions& options = {});

  absl::StatusOr<v1::DrainHostResponse> DrainHost(const v1::DrainHostRequest& request = {}, const CallOptions& options = {});

  absl::StatusOr<v1::ApplyPipelineResponse> ApplyPipeline(const v1::ApplyPipelineRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::GetPipelineResponse> GetPipeline(const v1::GetPipelineRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::ListPipelinesResponse> ListPipelines(const v1::ListPipelinesRequest& request = {}, const CallOptions& options = {});
  absl::StatusOr<v1::DeletePipelineResponse> DeletePipeline(const v1::DeletePipelineRequest& request, const CallOptions& options = {});

  absl::StatusOr<v1::GetTaskResponse> GetTask(const v1::GetTaskRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::ListTasksResponse> ListTasks(const v1::ListTasksRequest& request = {}, const CallOptions& options = {});
  absl::StatusOr<v1::CreateTaskResponse> CreateTask(const v1::CreateTaskRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::DeleteTaskResponse> DeleteTask(const v1::DeleteTaskRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::StartTaskResponse> StartTask(const v1::StartTaskRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::StopTaskResponse> StopTask(const v1::StopTaskRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::RestartTaskResponse> RestartTask(const v1::RestartTaskRequest& request, const CallOptions& options = {});
  // Goes on by itself when the host was restarted. Waits no longer than the deadline, or the options' timeout.
  absl::StatusOr<v1::WaitTaskResponse> WaitTask(const v1::WaitTaskRequest& request, const CallOptions& options = {});
  // The deadline reaches the runnable. At most once per run of the task, also when it was tried again.
  absl::StatusOr<v1::InvokeCommandResponse> InvokeCommand(const v1::InvokeCommandRequest& request, const CallOptions& options = {});

  absl::StatusOr<v1::GetBufferResponse> GetBuffer(const v1::GetBufferRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::ListBuffersResponse> ListBuffers(const v1::ListBuffersRequest& request = {}, const CallOptions& options = {});
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(const v1::ListDeadLettersRequest& request = {},
                                                              const CallOptions& options = {});
  // Ends with UNAVAILABLE when the host goes: what passed meanwhile is not known, so a new tap is the caller's decision.
  std::unique_ptr<Stream<v1::TapBufferResponse>> TapBuffer(const v1::TapBufferRequest& request, const CallOptions& options = {});

  // Goes on by itself when the host was restarted: after the last revision or, if that is too old, with a fresh snapshot; tasks that went
  // meanwhile are then reported as deleted before the snapshot is complete.
  std::unique_ptr<Stream<v1::WatchTasksResponse>> WatchTasks(const v1::WatchTasksRequest& request = {}, const CallOptions& options = {});
  absl::StatusOr<v1::ListEventsResponse> ListEvents(const v1::ListEventsRequest& request = {}, const CallOptions& options = {});
  // Goes on by itself after the last revision or, when the host was restarted, with all that the next one has to tell.
  std::unique_ptr<Stream<v1::WatchEventsResponse>> WatchEvents(const v1::WatchEventsRequest& request = {}, const CallOptions& options = {});
  absl::StatusOr<v1::QueryLogsResponse> QueryLogs(const v1::QueryLogsRequest& request = {}, const CallOptions& options = {});
  absl::StatusOr<v1::SetLogLevelResponse> SetLogLevel(const v1::SetLogLevelRequest& request, const CallOptions& options = {});
  // Goes on by itself, too, with the records that came meanwhile; none comes twice.
  std::unique_ptr<Stream<v1::TailLogsResponse>> TailLogs(const v1::TailLogsRequest& request = {}, const CallOptions& options = {});

  const std::string& target() const;

 private:
  class Impl;
  explicit Client(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;  // shared with streams, which may outlive the client
};

}  // namespace puma::client
#endif  // PUMA_CLIENT_CLIENT_H_
