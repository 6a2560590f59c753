#include "tests/bench/bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <utility>

namespace puma::bench {
namespace {

struct Spread {
  double median = 0, min = 0, max = 0;
};
Spread SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

}  // namespace

double NowSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void PinTo(unsigned core) {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  unsigned skip = core % std::max(1, CPU_COUNT(&allowed));
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void Bench::Add(std::string name, std::string unit, std::string reference, std::function<double()> measure) {
  cases_.push_back({std::move(name), std::move(unit), std::move(reference), std::move(measure), {}});
}

Bench::Case* Bench::Find(const std::string& name) {
  const auto at = std::find_if(cases_.begin(), cases_.end(), [&](const Case& c) { return c.name == name; });
  return at == cases_.end() ? nullptr : &*at;
}

int Bench::Run(int argc, char** argv) {
  const int repetitions = argc > 1 ? std::max(1, atoi(argv[1])) : 5;
  if (argc > 2) {
    for (Case& c : cases_) c.wanted = c.name.find(argv[2]) != std::string::npos;
    for (auto c = cases_.rbegin(); c != cases_.rend(); ++c) {  // a reference stands before what refers to it, and may have its own
      if (c->wanted && Find(c->reference) != nullptr) Find(c->reference)->wanted = true;
    }
  }
  for (int i = 0; i < repetitions; ++i) {
    for (Case& c : cases_) {
      if (!c.wanted) continue;
      c.values.push_back(c.measure());
      fprintf(stderr, "%d/%d %s: %.4g %s\n", i + 1, repetitions, c.name.c_str(), c.values.back(), c.unit.c_str());
    }
  }
  Print();
  return 0;
}

void Bench::Print() {
  printf("| case | unit | median | min - max | ratio | min - max | of |\n|---|---|---|---|---|---|---|\n");
  for (const Case& c : cases_) {
    if (c.values.empty()) continue;
    const Spread own = SpreadOf(c.values);
    printf("| %s | %s | %.4g | %.4g - %.4g |", c.name.c_str(), c.unit.c_str(), own.median, own.min, own.max);
    const Case* reference = Find(c.reference);
    if (reference == nullptr) {
      printf(" | | |\n");
      continue;
    }
    std::vector<double> ratios;
    for (size_t i = 0; i < c.values.size(); ++i) ratios.push_back(c.values[i] / reference->values[i]);
    const Spread ratio = SpreadOf(ratios);
    printf(" %.2f | %.2f - %.2f | %s |\n", ratio.median, ratio.min, ratio.max, c.reference.c_str());
  }
}

}  // namespace puma::bench
