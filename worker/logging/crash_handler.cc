#include "worker/logging/crash_handler.h"

#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <cstring>

#include "worker/logging/record_sink.h"

namespace puma::logging {
namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
constexpr size_t kFrames = 24;

CulpritWords the_words;
std::atomic<int> crashing{0};
std::atomic<int> reading{0};  // turns that are under way
constexpr int kReadingMostMs = 100;

// Text in a fixed buffer, without malloc and locks.
class Line {
 public:
  Line& Text(const char* s) {
    while (*s != '\0' && used_ < sizeof(buffer_) - 1) buffer_[used_++] = *s++;
    return *this;
  }
  Line& Hex(uintptr_t v) {
    char digits[2 * sizeof(v) + 1];
    size_t n = sizeof(digits);
    digits[--n] = '\0';
    do {
      digits[--n] = "0123456789abcdef"[v & 15];
      v >>= 4;
    } while (v != 0);
    return Text("0x").Text(digits + n);
  }
  Line& Number(uint64_t v) {
    char digits[24];
    size_t n = sizeof(digits);
    digits[--n] = '\0';
    do {
      digits[--n] = static_cast<char>('0' + v % 10);
      v /= 10;
    } while (v != 0);
    return Text(digits + n);
  }
  ~Line() {
    buffer_[used_++] = '\n';
    [[maybe_unused]] ssize_t n = write(STDERR_FILENO, buffer_, used_);
  }

 private:
  char buffer_[512];
  size_t used_ = 0;
};

_Unwind_Reason_Code OnFrame(_Unwind_Context* context, void* argument) {
  auto* count = static_cast<size_t*>(argument);
  const uintptr_t address = _Unwind_GetIP(context);
  if (address == 0 || *count == kFrames) return _URC_END_OF_STACK;
  Line line;
  line.Text("  #").Number((*count)++).Text(" ").Hex(address);
  Dl_info info;
  link_map* map = nullptr;
  if (dladdr1(reinterpret_cast<void*>(address), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 && map != nullptr) {
    line.Text(" ").Text(info.dli_fname != nullptr ? info.dli_fname : "?").Text("+").Hex(address - map->l_addr);
    if (info.dli_sname != nullptr) line.Text(" ").Text(info.dli_sname);
  }
  return _URC_NO_REASON;
}

const char* NameOf(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? name : "?";
}

void OnFatal(int signal, siginfo_t* info, void*) {
  // The first thread tells; others that crash meanwhile wait for the end of the process.
  if (int me = static_cast<int>(syscall(SYS_gettid)), nobody = 0; !crashing.compare_exchange_strong(nobody, me)) {
    if (nobody != me) {
      for (;;) pause();
    }
  } else {
    NoteCulprit(static_cast<uint32_t>(signal));
    constexpr timespec kMillisecond = {0, 1'000'000};
    for (int i = 0; i < kReadingMostMs && reading.load() != 0; ++i) nanosleep(&kMillisecond, nullptr);
    Line line;
    line.Text("puma: fatal signal SIG").Text(NameOf(signal));
    if (signal == SIGSEGV || signal == SIGBUS) line.Text(" at address ").Hex(reinterpret_cast<uintptr_t>(info->si_addr));
    line.Text(" in thread ").Number(static_cast<uint64_t>(me));
  }
  size_t count = 0;
  _Unwind_Backtrace(OnFrame, &count);
  ::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  raise(signal);
}

}  // namespace

void NoteCulprit(uint32_t signal) {
  uint32_t nobody = 0;
  const uint32_t me = CurrentSlotPlusOne();
  if (the_words.slot_plus_one == nullptr || me == 0) return;
  if (the_words.slot_plus_one->load(std::memory_order_relaxed) != 0) return;
  if (the_words.signal != nullptr) *the_words.signal = signal;
  the_words.slot_plus_one->compare_exchange_strong(nobody, me, std::memory_order_release);
}

void InstallCrashHandler(CulpritWords words) {
  the_words = words;
  struct sigaction action = {};
  action.sa_sigaction = OnFatal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (int signal : kFatal) sigaction(signal, &action, nullptr);
}

ReadingTurn::ReadingTurn() {
  ++reading;
  begun_ = crashing.load() == 0;
  if (!begun_) --reading;
}

ReadingTurn::~ReadingTurn() {
  if (begun_) --reading;
}

AlternateStack::AlternateStack() {
  memory_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory_ == MAP_FAILED) {
    memory_ = nullptr;
    return;
  }
  stack_t stack = {};
  stack.ss_sp = memory_;
  stack.ss_size = kStackBytes;
  sigaltstack(&stack, nullptr);
}

AlternateStack::~AlternateStack() {
  if (memory_ == nullptr) return;
  stack_t none = {};
  none.ss_flags = SS_DISABLE;
  sigaltstack(&none, nullptr);
  munmap(memory_, kStackBytes);
}

}  // namespace puma::logging
