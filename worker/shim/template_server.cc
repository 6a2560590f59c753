#include "worker/shim/template_server.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/platform/seqpacket.h"
#include "worker/platform/system.h"
#include "worker/shim/new_process.h"
#include "worker/shim/template.h"

namespace puma::shim {
namespace {

// What glibc keeps for its fork: where it has the thread's id, and its list of robust mutexes.
struct ThreadFacts {
  int* id = nullptr;
  robust_list_head* robust = nullptr;
  size_t robust_bytes = 0;

  bool Read() {
    return ::prctl(PR_GET_TID_ADDRESS, &id, 0, 0, 0) == 0 && id != nullptr && *id == ::getpid() &&
           ::syscall(SYS_get_robust_list, 0, &robust, &robust_bytes) == 0;
  }
};

bool HasOneThread() {
  struct stat tasks {};
  return ::stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3;  // ".", ".." and one
}

int Answer(const ForkAnswer& answer, std::span<const int> fds = {}) {
  return SendPacket(kTemplateSocket, std::as_bytes(std::span(&answer, 1)), fds);
}

// /proc shows these places as the command line and the environment; the shim and people read them.
void Write(const char (&text)[kNamePlace], char* place) {
  std::memcpy(place, text, kNamePlace - 1);  // with zeros up to its end
}

struct Order {
  ForkRequest request;
  std::vector<UniqueFd> received;

  // False: not understood.
  bool Read(Packet packet) {
    if (packet.error != 0 || packet.bytes.size() != sizeof(request)) return false;
    std::memcpy(&request, packet.bytes.data(), sizeof(request));
    received = std::move(packet.fds);
    return request.homes <= 1 && received.size() == size_t{request.fds} + request.homes + request.groups;
  }
  int home() const { return request.homes == 0 ? -1 : received[request.fds].get(); }
};

// In the child. `home`: the group that it is to move to.
void BecomeWorker(const Order& order, int home, char** argv) {
  const ForkRequest& request = order.request;
  std::vector<std::pair<int, int>> fds;
  std::vector<int> groups;
  for (uint32_t i = 0; i < request.fds; ++i) fds.emplace_back(order.received[i].get(), static_cast<int>(i));
  for (size_t i = request.fds + request.homes; i < order.received.size(); ++i) groups.push_back(order.received[i].get());
  fds.emplace_back(kTemplateSocket, kTemplateSocket);
  const SpawnStep step = Enter({fds, home, groups, request.limits, request.files, true, request.parent});
  const int error = errno;
  if (step != SpawnStep::kNone) {
    Answer({0, error, step});
    ::_exit(127);
  }
  Write(request.name, argv[1]);
  Write(request.label, ::getenv("PUMA_RUN"));
  NameThread("puma-worker");
  const UniqueFd self = PidfdOpen(::getpid());
  const int fd = self.get();
  // Not told: the shim has given up waiting, and starts this run by other means.
  if (!self.valid() || Answer({::getpid(), 0, SpawnStep::kNone}, {&fd, 1}) != 0) ::_exit(127);
  ::close(kTemplateSocket);
}

// A child of the shim, as one that it had exec'd; born in `home`, which saves what moving costs: milliseconds, for the kernel waits until
// all processors have noticed.
int ForkForTheShim(const ThreadFacts& facts, int home) {
  clone_args how{};
  how.flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  how.child_tid = reinterpret_cast<uintptr_t>(facts.id);
  if (home >= 0) how.flags |= CLONE_INTO_CGROUP, how.cgroup = static_cast<uint64_t>(home);
  const long pid = ::syscall(SYS_clone3, &how, sizeof(how));
  if (pid == 0) ::syscall(SYS_set_robust_list, facts.robust, facts.robust_bytes);
  return static_cast<int>(pid);
}

}  // namespace

bool ServeIfTemplate(int argc, char** argv) {
  if (argc != 2 || !std::string_view(argv[1]).starts_with(kTemplate)) return true;
  const char* const label = ::getenv("PUMA_RUN");
  ThreadFacts facts;
  if (std::strlen(argv[1]) != kNamePlace - 1 || label == nullptr || std::strlen(label) != kNamePlace - 1 || !HasOneThread() ||
      !facts.Read()) {
    return false;
  }
  ::fcntl(kTemplateSocket, F_SETFD, FD_CLOEXEC);
  NameThread("puma-template");
  if (Answer({}) != 0) return false;
  while (true) {
    Packet packet = ReceivePacket(kTemplateSocket);
    if (packet.error == EINTR) continue;
    Order order;
    if (!order.Read(std::move(packet))) return false;
    int move_to = -1;
    int pid = ForkForTheShim(facts, order.home());
    if (pid < 0 && order.home() >= 0) pid = ForkForTheShim(facts, -1), move_to = order.home();
    if (pid == 0) {
      BecomeWorker(order, move_to, argv);
      for (UniqueFd& fd : order.received) (void)fd.release();  // closed, or its own
      return true;
    }
    if (pid < 0) Answer({0, errno, SpawnStep::kFork});
  }
}

}  // namespace puma::shim
