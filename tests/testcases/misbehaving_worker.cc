// A worker that does one thing, named by its process name: what the shim must cope with.
#include <fcntl.h>
#include <linux/memfd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "worker/buffer/layout.h"
#include "worker/platform/seqpacket.h"
#include "worker/shim/protocol.h"
#include "worker/shim/template_server.h"

namespace {

using namespace puma::shim;

constexpr int kGood = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;

template <class T>
void Send(Type type, const T& body, int fd = -1, uint16_t version = kVersion) {
  std::byte bytes[sizeof(Header) + sizeof(T)];
  Header header;
  header.type = type;
  header.version = version;
  header.length = sizeof(bytes);
  header.fd_count = fd >= 0 ? 1 : 0;
  std::memcpy(bytes, &header, sizeof(header));
  std::memcpy(bytes + sizeof(header), &body, sizeof(body));
  puma::SendPacket(kWorkerSocket, bytes, std::span(&fd, header.fd_count));
}

void OfferSegment(uint64_t id, SegmentKind kind, off_t bytes, int seals) {
  const int fd = static_cast<int>(::syscall(SYS_memfd_create, "offer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (::ftruncate(fd, bytes) != 0 || ::fcntl(fd, F_ADD_SEALS, seals) != 0) std::exit(99);
  Send(Type::kOffer, Offer{id, kind, 0}, fd);
  ::close(fd);
}

[[noreturn]] void Sleep() {
  while (true) ::pause();
}

// Grandchildren in sessions of their own that ignore SIGTERM, and a leader that ends.
void Detach(bool leader_ends) {
  for (int i = 0; i < 3; ++i) {
    if (::fork() != 0) continue;
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    ::setsid();
    ::signal(SIGTERM, SIG_IGN);
    ::prctl(PR_SET_NAME, "grandchild");
    Sleep();
  }
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  if (leader_ends) ::_exit(0);
  Sleep();
}

// Children that fork as fast as they can, in all generations together at most kForks: a nuisance, and no danger to the machine. (A limit of
// processes would not hold for root.)
[[noreturn]] void ForkALot() {
  constexpr int kForks = 200;
  void* shared = ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) std::exit(99);
  auto& forks = *new (shared) std::atomic<int>(0);
  while (forks.fetch_add(1) < kForks) {
    if (::fork() < 0) break;
  }
  Sleep();
}

// Ends with the number of children that it could have at once, of at most kForks.
[[noreturn]] void ForkUntilRefused() {
  constexpr int kForks = 200;
  int forks = 0;
  for (; forks < kForks; ++forks) {
    const int pid = ::fork();
    if (pid < 0) break;
    if (pid == 0) Sleep();
  }
  std::_Exit(forks);
}

// Touches 64 MiB.
[[noreturn]] void EatMemory() {
  constexpr size_t kBytes = 64 << 20;
  auto* memory = static_cast<char*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) std::exit(99);
  for (size_t at = 0; at < kBytes; at += 4096) memory[at] = 1;
  std::exit(0);
}

// Does what it is told by StartTask: offers a page and a lane with the granted ids.
[[noreturn]] void Behave() {
  Send(Type::kWorkerHello, WorkerHello{1, ::getpid()});
  OfferSegment(1000, SegmentKind::kControl, 8192, kGood);
  while (true) {
    puma::Packet packet = puma::ReceivePacket(kWorkerSocket);
    if (packet.bytes.empty()) Sleep();
    Header header;
    std::memcpy(&header, packet.bytes.data(), sizeof(header));
    if (header.type == Type::kStartTask) {
      StartTask start;
      std::memcpy(&start, packet.bytes.data() + sizeof(header), sizeof(start));
      for (uint32_t i = 0; i < start.grant_count; ++i) {
        Grant grant;
        std::memcpy(&grant, packet.bytes.data() + sizeof(header) + sizeof(start) + i * sizeof(grant), sizeof(grant));
        OfferSegment(grant.segment, grant.kind, 65536, kGood);
      }
    }
    if (header.type == Type::kAttach) {
      Attach attach;
      std::memcpy(&attach, packet.bytes.data() + sizeof(header), sizeof(attach));
      Send(Type::kAttached, Attached{{}, attach.lane, attach.subscription, attach.segment, packet.fds.size()});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (!ServeIfTemplate(argc, argv)) return 0;
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "exit3") return 3;
  if (what == "segfault") {
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer would make an exit code of it
    ::raise(SIGSEGV);
  }
  if (what == "detach") Detach(false);
  if (what == "detach_and_end") Detach(true);
  if (what == "forks") ForkALot();
  if (what == "fork_and_count") ForkUntilRefused();
  if (what == "eats_memory") EatMemory();
  if (what == "ignores_term") ::signal(SIGTERM, SIG_IGN);
  if (what == "unsealed") OfferSegment(1000, SegmentKind::kControl, 8192, F_SEAL_SHRINK);
  if (what == "no_future") OfferSegment(1000, SegmentKind::kControl, 8192, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);
  if (what == "empty") OfferSegment(1000, SegmentKind::kControl, 0, kGood);
  if (what == "ungranted") OfferSegment(4711, SegmentKind::kLane, 8192, kGood);
  if (what == "offers_twice") {
    OfferSegment(1000, SegmentKind::kControl, 8192, kGood);
    OfferSegment(1000, SegmentKind::kControl, 8192, kGood);
  }
  if (what == "old_version") Send(Type::kWorkerHello, WorkerHello{1, ::getpid()}, -1, 77);
  if (what == "child_speaks" && ::fork() == 0) Send(Type::kOffer, Offer{1000, SegmentKind::kControl, 0}, STDIN_FILENO);
  if (what == "last_words") {
    OfferSegment(1000, SegmentKind::kControl, 8192, kGood);
    std::puts("the last line");
    std::fflush(stdout);
    ::raise(SIGKILL);
  }
  if (what == "deaf") {  // does not read its socket, nor anything else
    while (true) ::pause();
  }
  if (what == "closes_socket") ::close(kWorkerSocket);
  if (what == "good") Behave();
  Sleep();
}
