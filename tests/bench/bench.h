#ifndef PUMA_TESTS_BENCH_BENCH_H_
#define PUMA_TESTS_BENCH_BENCH_H_
// Measures several cases in turn, several times, and prints each with its ratio to a reference of the same round. The machine's speed moves
// from minute to minute; the ratio moves less.
#include <functional>
#include <string>
#include <vector>

namespace puma::bench {

class Bench {
 public:
  // `measure` returns one figure in `unit`. `reference`: the name of an earlier case to divide by; "": none.
  void Add(std::string name, std::string unit, std::string reference, std::function<double()> measure);
  // Arguments: [repetitions, 5] [only the cases whose name contains this, and their references]. Prints a table in Markdown.
  int Run(int argc, char** argv);

 private:
  struct Case {
    std::string name, unit, reference;
    std::function<double()> measure;
    std::vector<double> values;
    bool wanted = true;
  };
  Case* Find(const std::string& name);
  void Print();
  std::vector<Case> cases_;
};

double NowSeconds();        // CLOCK_MONOTONIC
void PinTo(unsigned core);  // the calling thread, to the n-th core it may use (modulo)
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace puma::bench
#endif  // PUMA_TESTS_BENCH_BENCH_H_
