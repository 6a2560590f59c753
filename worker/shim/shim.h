#ifndef PUMA_WORKER_SHIM_SHIM_H_
#define PUMA_WORKER_SHIM_SHIM_H_
// The root process: starts the host and the workers, keeps what a new host needs, knows when a run is over. One thread, one event loop,
// nothing in it blocks. README.md has the states.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "worker/platform/unique_fd.h"
#include "worker/shim/cgroup.h"
#include "worker/shim/execute.h"
#include "worker/shim/message.h"
#include "worker/shim/table.h"
#include "worker/shim/template.h"

namespace puma::shim {

struct Settings {
  std::string host;  // paths
  std::string worker;
  std::vector<std::string> host_arguments;
  std::string state_id;            // labels processes: PUMA_STATE
  bool foreground_output = false;  // the host's stdout is the shim's
};

// Closes what was inherited beyond stderr and reserves the numbers that children get. The first act of main.
void PrepareDescriptors();

class Shim {
 public:
  explicit Shim(Settings settings);
  // Until the end; what the process should exit with. 78: the first host found its configuration bad.
  int Run();

 private:
  struct Host {
    int pid = -1;
    UniqueFd pidfd;
    Peer peer;
    bool said_hello = false;
    bool overflowed = false;
    bool socket_ended = false;
    uint32_t count = 0;  // started so far
    int64_t started_ns = 0;
    int64_t next_start_ns = 0;  // when none runs
    int64_t backoff_ns = 0;
    // The inventory is made as the socket takes it, in order of key and segment id.
    enum class Inventory { kNone, kRuns, kSegments, kEnd } inventory = Inventory::kNone;
    uint64_t inventory_after = 0, inventory_reply_to = 0, runs_sent = 0, segments_sent = 0;
    bool inventory_begun = false;  // something was sent of the current list
  };

  // shim.cc: the loop
  bool Prepare();
  void Watch(int fd, uint64_t tag, bool writable, bool add);
  void Turn();
  int TimeoutMs() const;
  void OnSignals();
  void Reap();
  void Sweep();
  void End(int code, bool at_once);
  void ContinueEnd();
  bool Ended() const;

  // host_process.cc: its life
  void StartHost();
  void ReadHost(int at_most);
  void OnHostDeath();
  void ToHost(Outgoing message);
  void FlushHost();
  void ContinueInventory();
  void SendRunItem(const RunEntry& run);

  // host_messages.cc: what it asks
  void OnHostMessage(Incoming& message);
  void OnHello(Incoming& message);
  void OnSpawn(Incoming& message);
  void OnStartTask(Incoming& message);
  void OnAttach(Incoming& message);
  template <class T>
  void OnForward(Incoming& message, Type type, uint32_t T::*length);
  void OnSignalOrder(Incoming& message);
  void OnKillTree(Incoming& message);
  void OnDropSegments(Incoming& message);
  void OnAckExit(Incoming& message);
  void Refuse(const Incoming& message, int error, std::string_view text);
  void AnswerSpawn(const RunId& id, uint64_t reply_to, int error, SpawnStep step);
  int StartWorker(const Spawn& spawn, UniqueFd host_segment, SpawnStep& step);

  // worker_process.cc: its words and its end
  void ReadWorker(RunEntry& run, int at_most);
  void OnWorkerMessage(RunEntry& run, Incoming& message);
  void OnOffer(RunEntry& run, Incoming& message);
  void ReportFailure(RunEntry& run, uint32_t slot, std::string_view text);
  void ToWorker(RunEntry& run, Outgoing message, const Incoming& order);
  void OnLeaderDeath(RunEntry& run);
  void EndRun(const RunEntry& run);
  void Finish(RunEntry& run);

  Settings settings_;
  Cgroups cgroups_;
  UniqueFd epoll_, signals_, null_;
  rlimit files_{};
  std::array<uint8_t, 16> instance_{};
  Table table_;
  Template template_;
  Host host_;
  std::map<uint64_t, Peer> workers_;  // by key
  bool sweep_ = false;                // strangers may be there
  bool retry_ = false;                // descriptors in flight were too many
  bool ending_ = false;
  bool workers_killed_ = false;
  int exit_code_ = 0;
  int64_t kill_workers_ns_ = 0, kill_host_ns_ = 0;
};

}  // namespace puma::shim
#endif  // PUMA_WORKER_SHIM_SHIM_H_
