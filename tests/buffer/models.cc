// The protocol of worker/buffer/README.md once more, step by step, for a model checker (Relacy) that tries interleavings and the
// reorderings that the C++ memory model allows. Each model holds; and each is found broken as soon as one step of it is taken away. No
// GoogleTest: Relacy replaces operator new in the whole program.
#include <cstdio>
#include <cstring>
#include <ostream>
#include <string>

// After all else: it has macros for new and free.
#include <relacy/relacy.hpp>

// Relacy's names: an atomic is used as x($), which notes the line.
namespace puma::testing {
namespace {

using rl::mo_acquire;
using rl::mo_relaxed;
using rl::mo_release;
using rl::mo_seq_cst;

enum class Break {
  kNothing,
  kBarrierOfTheBusy,     // P3, R4
  kBarrierOfTheSleeper,  // S2, F2
  kGeneration,           // a flag instead
  kNotAtMyTail,          // P4 wakes who sleeps for the next message, too
  kRelease,              // P2, R3: relaxed
  kWantedFirst,          // F1: want before want_position
  kFenceOfTheWriter,     // P0
  kFenceOfTheReader,     // of the lossy copy
  kReleasedFirst,        // P0: overwritten, then released
  kSecondLook,           // at the tag
  kNoTagFirst            // TakeOver: the foreign position while the old tag still stands
};

constexpr unsigned kExecutions = 300'000;

Break broken = Break::kNothing;  // of the model that runs

bool Broken(Break what) { return broken == what; }

// What the kernel promises of a futex: a wake that comes before the comparison is seen by it, one that comes after it ends the sleep. The
// comparison itself may see an old value, as any load.
class Futex {
 public:
  void Wait(rl::atomic<unsigned>& word, unsigned seen) {
    mutex_.lock($);
    if (word($).load(mo_relaxed) == seen) condition_.wait(mutex_, $);
    mutex_.unlock($);
  }
  void Wake() {
    mutex_.lock($);
    condition_.notify_all($);
    mutex_.unlock($);
  }

 private:
  rl::mutex mutex_;
  rl::condition_variable condition_;
};

// Messages that are there, for a reader whose own sleep is not the question.
class Count {
 public:
  void Add() {
    mutex_.lock($);
    ++count_;
    condition_.notify_all($);
    mutex_.unlock($);
  }
  void Take() {
    mutex_.lock($);
    while (count_ == 0) condition_.wait(mutex_, $);
    --count_;
    mutex_.unlock($);
  }

 private:
  unsigned count_ = 0;
  rl::mutex mutex_;
  rl::condition_variable condition_;
};

template <class Model>
bool Holds(Break what) {
  broken = what;
  std::ostream nowhere(nullptr);
  rl::test_params parameters;
  parameters.iteration_count = kExecutions;
  parameters.execution_depth_limit = 10'000;
  parameters.output_stream = &nowhere;
  parameters.progress_stream = &nowhere;
  const bool holds = rl::simulate<Model>(parameters);
  const char* found = holds ? "nothing" : rl::test_result_str(parameters.test_result);
  printf("found: %s in %lu executions\n", found, static_cast<unsigned long>(parameters.stop_iteration));
  return holds;
}

// ---- publish and sleep
// -------------------------------------------------------------------------------------------------------------------

struct PublishAndSleepModel : rl::test_suite<PublishAndSleepModel, 2> {
  static constexpr unsigned kMessages = 3;
  rl::atomic<unsigned> tail, sleep, position;
  rl::var<unsigned> payload[kMessages];
  Futex futex;

  void before() {
    tail($).store(0, mo_relaxed);
    sleep($).store(0, mo_relaxed);
    position($).store(0, mo_relaxed);
  }
  void thread(unsigned index) { index == 0 ? Publish() : Consume(); }

  void Publish() {
    unsigned woken = 0;
    for (unsigned n = 0; n < kMessages; ++n) {
      payload[n]($) = n + 1;                                                          // P1
      tail($).store(n + 1, Broken(Break::kRelease) ? mo_relaxed : mo_release);        // P2
      if (!Broken(Break::kBarrierOfTheBusy)) rl::atomic_thread_fence(mo_seq_cst, $);  // P3
      const unsigned generation = sleep($).load(mo_relaxed);                          // P4
      if ((generation & 1) == 0 || generation == woken) continue;
      rl::atomic_thread_fence(mo_acquire, $);
      if (!Broken(Break::kNotAtMyTail) && position($).load(mo_relaxed) == n + 1) continue;
      woken = generation;
      futex.Wake();  // P5
    }
  }
  void Consume() {
    unsigned next = 0;
    while (next < kMessages) {
      const unsigned seen = tail($).load(mo_acquire);  // R1
      if (next != seen) {
        RL_ASSERT(payload[next]($) == next + 1);
        ++next;
        continue;
      }
      position($).store(next, mo_release);  // S0
      const unsigned now = sleep($).load(mo_relaxed);
      const unsigned generation = Broken(Break::kGeneration) ? 1 : (now + 1) | 1;
      sleep($).store(generation, mo_release);                                            // S1
      if (!Broken(Break::kBarrierOfTheSleeper)) rl::atomic_thread_fence(mo_seq_cst, $);  // S2
      if (tail($).load(mo_acquire) == next) futex.Wait(tail, next);                      // S3, S4
      sleep($).store(generation + 1, mo_relaxed);                                        // S5
    }
  }
};

// ---- full and free
// -----------------------------------------------------------------------------------------------------------------------

struct FullAndFreeModel : rl::test_suite<FullAndFreeModel, 2> {
  static constexpr unsigned kMessages = 5, kCapacity = 2;
  rl::atomic<unsigned> position, want, want_position;
  rl::var<unsigned> payload[kCapacity];
  Count messages;
  Futex futex;

  void before() {
    for (auto* word : {&position, &want, &want_position}) (*word)($).store(0, mo_relaxed);
  }
  void thread(unsigned index) { index == 0 ? Publish() : Consume(); }

  bool Room(unsigned n, unsigned& seen) {
    seen = position($).load(mo_acquire);  // P0
    return n - seen < kCapacity;
  }
  void Publish() {
    for (unsigned n = 0; n < kMessages; ++n) {
      for (unsigned seen; !Room(n, seen);) {
        const unsigned fresh = Broken(Break::kGeneration) ? 1 : (want($).load(mo_relaxed) + 1) | 1;
        if (!Broken(Break::kWantedFirst)) want_position($).store(n - kCapacity + 1, mo_relaxed);
        want($).store(fresh, mo_release);  // F1
        if (Broken(Break::kWantedFirst)) want_position($).store(n - kCapacity + 1, mo_relaxed);
        if (!Broken(Break::kBarrierOfTheSleeper)) rl::atomic_thread_fence(mo_seq_cst, $);  // F2
        if (!Room(n, seen)) futex.Wait(position, seen);                                    // F3, F4
        want($).store(fresh + 1, mo_relaxed);                                              // F5
      }
      payload[n % kCapacity]($) = n + 1;
      messages.Add();
    }
  }
  void Consume() {
    unsigned seen_want = 0;
    for (unsigned next = 0; next < kMessages;) {
      messages.Take();
      RL_ASSERT(payload[next % kCapacity]($) == next + 1);
      ++next;
      position($).store(next, Broken(Break::kRelease) ? mo_relaxed : mo_release);     // R3
      if (!Broken(Break::kBarrierOfTheBusy)) rl::atomic_thread_fence(mo_seq_cst, $);  // R4
      const unsigned wanted = want($).load(mo_acquire);                               // R5
      if ((wanted & 1) == 0 || wanted == seen_want) continue;
      if (static_cast<int>(next - want_position($).load(mo_relaxed)) < 0) continue;
      seen_want = wanted;
      futex.Wake();
    }
  }
};

// ---- the lossy copy
// ----------------------------------------------------------------------------------------------------------------------

struct LossyCopyModel : rl::test_suite<LossyCopyModel, 2> {
  static constexpr unsigned kMessages = 3, kWords = 2;  // one slot
  rl::atomic<unsigned> tail, released, word[kWords];

  void before() {
    tail($).store(0, mo_relaxed);
    released($).store(0, mo_relaxed);
    for (auto& w : word) w($).store(0, mo_relaxed);
  }
  void thread(unsigned index) { index == 0 ? Publish() : Copy(); }

  void Publish() {
    for (unsigned n = 0; n < kMessages; ++n) {
      if (!Broken(Break::kReleasedFirst)) Release(n);
      for (auto& w : word) w($).store(n, mo_relaxed);
      if (Broken(Break::kReleasedFirst)) Release(n);
      tail($).store(n + 1, mo_release);  // P2
    }
  }
  void Release(unsigned n) {  // P0
    released($).store(n, mo_release);
    if (!Broken(Break::kFenceOfTheWriter)) rl::atomic_thread_fence(mo_release, $);
  }
  void Copy() {
    for (unsigned look = 0; look < kMessages; ++look) {
      const unsigned low = released($).load(mo_acquire);
      const unsigned seen = tail($).load(mo_acquire);
      if (seen == 0) continue;
      RL_ASSERT(low <= seen);
      const unsigned number = seen - 1;
      unsigned copy[kWords];
      for (unsigned i = 0; i < kWords; ++i) copy[i] = word[i]($).load(mo_relaxed);
      if (!Broken(Break::kFenceOfTheReader)) rl::atomic_thread_fence(mo_acquire, $);
      if (number < released($).load(mo_relaxed)) continue;  // overwritten: thrown away
      for (unsigned w : copy) RL_ASSERT(w == number);
    }
  }
};

// ---- a slot that goes from one lane to another
// -------------------------------------------------------------------------------------------

// Lane 1 stood at 2 in the slot; lane 2 begins at 7. Both publishers find either number plausible.
struct TakeOverModel : rl::test_suite<TakeOverModel, 3> {
  rl::atomic<unsigned> tag, position;

  void before() {
    position($).store(2, mo_relaxed);
    tag($).store(1, mo_relaxed);
  }
  void thread(unsigned index) {
    if (index == 0) {
      TakeOver();
    } else {
      const unsigned reached = Reached(index, 0);
      RL_ASSERT(reached == 0 || reached == (index == 1 ? 2u : 7u));
    }
  }
  void TakeOver() {
    if (!Broken(Break::kNoTagFirst)) tag($).store(0, mo_relaxed);
    position($).store(7, mo_release);
    tag($).store(2, mo_release);
  }
  unsigned Reached(unsigned lane, unsigned floor) {
    if (tag($).load(mo_acquire) != lane) return floor;
    const unsigned seen = position($).load(mo_acquire);
    if (!Broken(Break::kSecondLook) && tag($).load(mo_relaxed) != lane) return floor;
    return seen;
  }
};

// ---- what is to hold, and what must not
// --------------------------------------------------------------------------------------------------

struct Case {
  const char* name;
  bool (*holds)(Break);
  Break broken;
};
constexpr Case kCases[] = {
    {"PublishAndSleep", Holds<PublishAndSleepModel>, Break::kNothing},
    {"PublishAndSleepWithoutP3", Holds<PublishAndSleepModel>, Break::kBarrierOfTheBusy},
    {"PublishAndSleepWithoutS2", Holds<PublishAndSleepModel>, Break::kBarrierOfTheSleeper},
    {"PublishAndSleepWithAFlag", Holds<PublishAndSleepModel>, Break::kGeneration},
    {"PublishAndSleepWakingWhoStandsAtTheTail", Holds<PublishAndSleepModel>, Break::kNotAtMyTail},
    {"PublishAndSleepWithARelaxedTail", Holds<PublishAndSleepModel>, Break::kRelease},
    {"FullAndFree", Holds<FullAndFreeModel>, Break::kNothing},
    {"FullAndFreeWithoutR4", Holds<FullAndFreeModel>, Break::kBarrierOfTheBusy},
    {"FullAndFreeWithoutF2", Holds<FullAndFreeModel>, Break::kBarrierOfTheSleeper},
    {"FullAndFreeWithAFlag", Holds<FullAndFreeModel>, Break::kGeneration},
    {"FullAndFreeWithTheWantBeforeItsPosition", Holds<FullAndFreeModel>, Break::kWantedFirst},
    {"FullAndFreeWithARelaxedPosition", Holds<FullAndFreeModel>, Break::kRelease},
    {"LossyCopy", Holds<LossyCopyModel>, Break::kNothing},
    {"LossyCopyWithoutTheWritersFence", Holds<LossyCopyModel>, Break::kFenceOfTheWriter},
    {"LossyCopyWithoutTheReadersFence", Holds<LossyCopyModel>, Break::kFenceOfTheReader},
    {"LossyCopyOverwrittenBeforeItIsReleased", Holds<LossyCopyModel>, Break::kReleasedFirst},
    {"TakeOver", Holds<TakeOverModel>, Break::kNothing},
    {"TakeOverWithoutASecondLook", Holds<TakeOverModel>, Break::kSecondLook},
    {"TakeOverWithTheOldTagStanding", Holds<TakeOverModel>, Break::kNoTagFirst},
};

}  // namespace
}  // namespace puma::testing

// models NAME: 0 if that model behaves as it must: a whole one holds, a broken one is found broken. No name: lists them.
int main(int argc, char** argv) {
  using puma::testing::Break;
  for (const auto& c : puma::testing::kCases) {
    if (argc < 2) printf("%s\n", c.name);
    if (argc >= 2 && strcmp(argv[1], c.name) == 0) return c.holds(c.broken) == (c.broken == Break::kNothing) ? 0 : 1;
  }
  return argc < 2 ? 0 : 2;
}
