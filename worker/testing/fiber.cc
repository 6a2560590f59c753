#include "worker/testing/fiber.h"

#include <cxxabi.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

// There when the program runs under a sanitizer, whoever of us was built with it.
extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom, size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fake_stack, const void** old_bottom, size_t* old_size);
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void* fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}

namespace puma::testing::internal {
namespace {

constexpr size_t kStackBytes = 8 << 20;  // as a thread's; what is not touched takes no memory
constexpr size_t kGuardBytes = 64 << 10;

// The exceptions that a stack has caught and is throwing: the first two words of what the ABI keeps for a thread.
struct Exceptions {
  void* caught;
  unsigned uncaught;
};
Exceptions& OfThread() { return *reinterpret_cast<Exceptions*>(abi::__cxa_get_globals()); }

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {
  static_assert(sizeof(Exceptions) <= sizeof own_.exceptions);
  memory_ =
      ::mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (memory_ == MAP_FAILED) throw std::bad_alloc();
  ::mprotect(memory_, kGuardBytes, PROT_NONE);
  own_.bottom = static_cast<std::byte*>(memory_) + kGuardBytes;
  own_.size = kStackBytes;
  ::getcontext(&own_.context);
  own_.context.uc_stack.ss_sp = const_cast<void*>(own_.bottom);
  own_.context.uc_stack.ss_size = own_.size;
  own_.context.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  ::makecontext(&own_.context, reinterpret_cast<void (*)()>(&Fiber::Enter), 2, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self));
  if (__tsan_create_fiber != nullptr) own_.thread_sanitizer = __tsan_create_fiber(0);
}

Fiber::~Fiber() {
  if (__tsan_destroy_fiber != nullptr && own_.thread_sanitizer != nullptr) __tsan_destroy_fiber(own_.thread_sanitizer);
  ::munmap(memory_, kStackBytes + kGuardBytes);
}

void Fiber::Enter(unsigned high, unsigned low) {
  auto* const self = reinterpret_cast<Fiber*>(uintptr_t{high} << 32 | low);
  self->Arrive(self->own_, self->outer_);
  self->body_();
  self->finished_ = true;
  self->Switch(self->own_, self->outer_, true);
}

void Fiber::Resume() {
  inside_ = true;
  Switch(outer_, own_, false);
  inside_ = false;
}

void Fiber::Pause() { Switch(own_, outer_, false); }

// NOLINTNEXTLINE: `from` is resumed by a Switch to it
void Fiber::Switch(Side& from, Side& to, bool for_good) {
  std::memcpy(from.exceptions, &OfThread(), sizeof(Exceptions));
  std::memcpy(static_cast<void*>(&OfThread()), to.exceptions, sizeof(Exceptions));
  if (__sanitizer_start_switch_fiber != nullptr) __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, to.bottom, to.size);
  if (__tsan_switch_to_fiber != nullptr) {
    if (&from == &outer_) outer_.thread_sanitizer = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.thread_sanitizer, 0);
  }
  ::swapcontext(&from.context, &to.context);
  Arrive(from, to);
}

void Fiber::Arrive(Side& here, Side& came_from) {
  if (__sanitizer_finish_switch_fiber != nullptr) __sanitizer_finish_switch_fiber(here.fake_stack, &came_from.bottom, &came_from.size);
}

}  // namespace puma::testing::internal
