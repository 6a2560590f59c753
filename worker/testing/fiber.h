#ifndef PUMA_WORKER_TESTING_FIBER_H_
#define PUMA_WORKER_TESTING_FIBER_H_
// A function with a stack of its own, on its caller's thread, that can pause in the middle.
#include <ucontext.h>

#include <cstddef>
#include <functional>

namespace puma::testing::internal {

class Fiber {
 public:
  // The body must not throw.
  explicit Fiber(std::function<void()> body);
  // One that pauses in the middle loses its stack and what lies on it.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void Resume();  // from outside: returns when the body pauses or has returned
  void Pause();   // within: returns when it is resumed
  bool inside() const { return inside_; }
  bool finished() const { return finished_; }

 private:
  // What a thread has of each stack: the language's exceptions in flight, and what sanitizers know.
  struct Side {
    ucontext_t context;
    std::byte exceptions[16];
    void* fake_stack = nullptr;
    const void* bottom = nullptr;
    size_t size = 0;
    void* thread_sanitizer = nullptr;
  };
  static void Enter(unsigned high, unsigned low);
  void Switch(Side& from, Side& to, bool for_good);
  void Arrive(Side& here, Side& came_from);

  const std::function<void()> body_;
  void* memory_ = nullptr;
  Side outer_{}, own_{};
  bool inside_ = false, finished_ = false;
};

}  // namespace puma::testing::internal
#endif  // PUMA_WORKER_TESTING_FIBER_H_
